import { CARRIER_NUMBER_RULES } from "./carrierNumberRules.ts";
import { hasMod10Digit } from "./checkDigits.ts";
import { TRACKING_NUMBER_FORMATS, type TrackingNumberFormat } from "./trackingNumberFormats.ts";
import { uspsPackageCodes } from "./uspsPackageCodes.ts";

/** Upper case, without white space and hyphens: as `bookpost` stores and compares numbers. */
export function normalizeTrackingNumber(text: string): string {
  return text.replaceAll(/[\s-]+/g, "").toUpperCase();
}

/**
 * The number to store and to ask about, of one that is normalised. A USPS label
 * that was scanned has 420 and the ZIP code before its number; which reading is
 * right, the check digit tells. Where it fits none, the number stays as it is.
 */
export function carrierNumber(carrierCode: string, number: string): string {
  if (carrierCode !== "usps") return number;
  return uspsPackageCodes(number).find((code) => hasMod10Digit(code, [3, 1])) ?? number;
}

/** S10 has 13 characters, a barcode with its ZIP 34, DHL eCommerce up to 39. Chosen a little wider. */
const ANY_NUMBER = /^[A-Z0-9]{4,40}$/;

/** Of `ok: true`, `warning` is a doubt to pass on; of `ok: false`, `rule` is why the number is refused. Both are for the person who typed it. */
export type NumberCheck =
  | { readonly ok: true; readonly warning: string | null }
  | { readonly ok: false; readonly rule: string };

const FINE: NumberCheck = { ok: true, warning: null };

/**
 * Whether `number` (normalised) can be a number of this carrier. A code without
 * rules, such as "any", takes 4 to 40 letters and digits. Carriers add ranges
 * without notice, so a person must be able to insist on what is refused here.
 */
export function checkTrackingNumber(carrierCode: string, number: string): NumberCheck {
  if (!ANY_NUMBER.test(number))
    return { ok: false, rule: "a tracking number has 4 to 40 letters and digits" };
  const carrier = CARRIER_NUMBER_RULES.get(carrierCode);
  if (carrier === undefined) return FINE;

  const own = TRACKING_NUMBER_FORMATS.filter(({ carriers }) => carriers.includes(carrierCode));
  const looksLike = own.filter(({ pattern }) => pattern.test(number));
  const telling = looksLike.filter(({ evidence }) => evidence !== "none");
  const judged = telling.length > 0 ? telling : looksLike;
  if (judged.some((format) => hasFittingDigit(format, number))) return FINE;
  const [first] = judged;
  if (first !== undefined) {
    const rule = `the check digit of ${first.name} follows from the rest of it, and this one does not fit`;
    return judged.some((format) => isExcused(format, carrierCode)) ? doubt(rule) : refuse(rule);
  }

  const opened = own.find(({ opening }) => opening?.pattern.test(number));
  if (opened?.opening !== undefined) return refuse(opened.opening.rule);
  const foreign = TRACKING_NUMBER_FORMATS.find(
    (format) => format.isUnmistakable && isOf(format, number),
  );
  if (foreign !== undefined) return refuse(`this is ${foreign.name}`);
  if (carrier.alsoTakes?.test(number)) return FINE;
  return carrier.alsoDoubts?.test(number) ? doubt(carrier.rule) : refuse(carrier.rule);
}

function refuse(rule: string): NumberCheck {
  return { ok: false, rule };
}

function doubt(rule: string): NumberCheck {
  return { ok: true, warning: `${rule}; look for a typing error` };
}

function isExcused({ checkDigit }: TrackingNumberFormat, carrierCode: string): boolean {
  return checkDigit !== null && Object.hasOwn(checkDigit.excused, carrierCode);
}

function hasFittingDigit({ checkDigit }: TrackingNumberFormat, number: string): boolean {
  return checkDigit === null || checkDigit.holds(number);
}

/** Whether a number (normalised) has this form, check digit included. */
export function isOf(format: TrackingNumberFormat, number: string): boolean {
  return format.pattern.test(number) && hasFittingDigit(format, number);
}

const WEIGHTS = { strong: 3, fair: 2, weak: 1, none: 0 } as const;

/**
 * Codes of the carriers that a number (normalised) could belong to by its form,
 * best evidence first; a wrong check digit comes last, and only where the
 * carrier excuses it. For a person to choose from, never to choose by: forms
 * overlap, and carriers without a form of their own are not among them.
 */
export function possibleCarriers(number: string): string[] {
  if (!ANY_NUMBER.test(number)) return [];
  const candidates = TRACKING_NUMBER_FORMATS.filter(
    ({ pattern, evidence }) => evidence !== "none" && pattern.test(number),
  ).flatMap((format) => {
    const likeliest = format.likeliest?.(number);
    const fits = hasFittingDigit(format, number);
    return format.carriers
      .filter((code) => fits || isExcused(format, code))
      .map((code) => ({
        code,
        weight: fits ? WEIGHTS[format.evidence] + (code === likeliest ? 1 : 0) : 0,
      }));
  });
  const ranked = candidates.sort((a, b) => b.weight - a.weight).map(({ code }) => code);
  return [...new Set(ranked)];
}
