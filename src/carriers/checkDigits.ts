/**
 * Check digits: each function says whether the last digit of `number` (in S10
 * the ninth) follows from the characters before it. What is handed in has the
 * right form already; these only count.
 */

/** A letter counts as its ASCII code less three, modulo ten: UPS's rule, and only UPS has letters here. */
function amountOf(character: string): number {
  return /\d/.test(character) ? Number(character) : (character.charCodeAt(0) - 3) % 10;
}

/** The characters but the last, each times its weight; weights start at the left and repeat. */
function weigh(number: string, weights: readonly number[]): number {
  return [...number.slice(0, -1)].reduce(
    (sum, character, place) => sum + amountOf(character) * (weights[place % weights.length] ?? 0),
    0,
  );
}

/**
 * What is missing to the next ten. USPS and GS1 count their 3, 1, 3, … from the
 * right; in numbers of even length that is the same from the left.
 */
export function hasMod10Digit(number: string, weights: readonly [number, number]): boolean {
  return Number(number.at(-1)) === (10 - (weigh(number, weights) % 10)) % 10;
}

/** What is left over by eleven; ten is written 0. FedEx's rule. */
export function hasMod11Digit(number: string, weights: readonly number[]): boolean {
  return Number(number.at(-1)) === (weigh(number, weights) % 11) % 10;
}

/** The digits before, read as one number, modulo seven; at most 16 digits, so that no digit is lost. DHL Express's rule. */
export function hasMod7Digit(number: string): boolean {
  return Number(number.at(-1)) === Number(number.slice(0, -1)) % 7;
}

/** UPU standard S10: eight digits and their check digit between two letters before and two behind. */
const S10_WEIGHTS = [8, 6, 4, 2, 3, 5, 9, 7];

export function hasS10Digit(number: string): boolean {
  const digits = number.slice(2, 11);
  const rest = 11 - (weigh(digits, S10_WEIGHTS) % 11);
  const expected = rest === 10 ? 0 : rest === 11 ? 5 : rest;
  return Number(digits.at(-1)) === expected;
}
