/** Enough to be unique among thousands, short enough to type. Chosen. */
export const SHORTEST_PREFIX = 4;
const UUID_DIGITS = 32;

/** "ab12" → the first and the last uuid that begin with it; null where it is no beginning of one. */
export function idRange(text: string): [string, string] | null {
  const digits = text.trim().toLowerCase().replaceAll("-", "");
  if (!/^[0-9a-f]+$/.test(digits) || digits.length < SHORTEST_PREFIX || digits.length > UUID_DIGITS)
    return null;
  return [digits.padEnd(UUID_DIGITS, "0"), digits.padEnd(UUID_DIGITS, "f")];
}
