/** Upper case, without white space and hyphens: as `bookpost` stores and compares numbers. */
export function normalizeTrackingNumber(text: string): string {
  return text.replaceAll(/[\s-]+/g, "").toUpperCase();
}

/** S10 has 13 characters, a barcode with its ZIP 34, DHL eCommerce up to 39. Chosen a little wider. */
const ANY_NUMBER = /^[A-Z0-9]{4,40}$/;

interface NumberRule {
  readonly concerns: RegExp;
  readonly holds: (number: string) => boolean;
  /** "refuse" only where nothing printed could look like this; "warn" where a person may be right against the rule. */
  readonly otherwise: "refuse" | "warn";
  readonly rule: string;
}

/** Carriers add ranges without notice, so only unmistakable formats have rules. */
const RULES: Readonly<Record<string, readonly NumberRule[]>> = {
  ups: [
    {
      concerns: /^1Z/,
      holds: (number) => /^1Z[A-Z0-9]{15}\d$/.test(number),
      otherwise: "refuse",
      rule: "a UPS number that starts with 1Z has 18 letters and digits and ends in a digit",
    },
    {
      concerns: /^1Z/,
      holds: hasUpsCheckDigit,
      // UPS's own test numbers (1Z12345E0205271688 and its like) break it.
      otherwise: "warn",
      rule: "the last digit of this UPS number does not fit the others; look for a typing error",
    },
  ],
};

/** Of `ok: true`, `warning` is a doubt to pass on; of `ok: false`, `rule` is why the number is refused. Both are for the person who typed it. */
export type NumberCheck =
  | { readonly ok: true; readonly warning: string | null }
  | { readonly ok: false; readonly rule: string };

/**
 * Whether `number` (normalised) can be a number of this carrier. Never says
 * which carrier a number belongs to: formats overlap.
 */
export function checkTrackingNumber(carrierCode: string, number: string): NumberCheck {
  if (!ANY_NUMBER.test(number))
    return { ok: false, rule: "a tracking number has 4 to 40 letters and digits" };
  const rules = Object.hasOwn(RULES, carrierCode) ? (RULES[carrierCode] ?? []) : [];
  const broken = rules.find(({ concerns, holds }) => concerns.test(number) && !holds(number));
  return broken?.otherwise === "refuse"
    ? { ok: false, rule: broken.rule }
    : { ok: true, warning: broken?.rule ?? null };
}

/** The 15 characters before the last are weighed 1, 2, 1, 2, …; a letter counts as (its ASCII code - 3) mod 10. */
function hasUpsCheckDigit(number: string): boolean {
  let sum = 0;
  for (const [position, character] of [...number.slice(2, 17)].entries()) {
    const value = /\d/.test(character) ? Number(character) : (character.charCodeAt(0) - 3) % 10;
    sum += position % 2 === 0 ? value : 2 * value;
  }
  return number.at(-1) === String((10 - (sum % 10)) % 10);
}
