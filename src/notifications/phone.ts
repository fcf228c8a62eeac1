import {
  isSupportedCountry,
  type PhoneNumber,
  type PhoneNumberType,
  parsePhoneNumberWithError,
  validatePhoneNumberLength,
} from "libphonenumber-js/max";
import { UsageError } from "../errors.ts";

// The `max` metadata: with the default one, "is valid" looks at the length only and types are not known.

/** What is nobody's own phone, by the library's types (google/libphonenumber, PhoneNumberType). */
const NOBODYS: Partial<Record<PhoneNumberType, string>> = {
  PREMIUM_RATE: "a premium-rate number",
  SHARED_COST: "a shared-cost number",
  TOLL_FREE: "a freephone number",
  UAN: "a company's number (UAN)",
  VOICEMAIL: "a voicemail box",
  PAGER: "a pager",
};

/**
 * What can be sent a text. Left out: landlines and VoIP, most of which take none, and personal numbers
 * (070 in the United Kingdom), which are billed like premium-rate ones and are a known way to earn by asking for codes.
 */
const TEXTABLE: ReadonlySet<PhoneNumberType | undefined> = new Set<PhoneNumberType>([
  "MOBILE",
  // The United States, Canada and others whose numbers do not tell.
  "FIXED_LINE_OR_MOBILE",
]);

/** Whether it has the form in which numbers are stored; the same rule as the constraint `users_phone_number_is_e164`. */
export function isE164(text: string): boolean {
  // Without the flag m, $ is the very end: no newline slips by.
  return /^\+[1-9][0-9]{1,14}$/.test(text);
}

/**
 * A phone number as people write it, in the form E.164, which is the one that is stored.
 * @param country ISO 3166-1 alpha-2, for a number without + and country code
 * @throws UsageError that says why it is none; of the number it shows the last two digits.
 */
export function normalizePhone(written: string, country?: string): string {
  // Pasted from an address book: full-width forms, and marks that are not seen.
  const text = written
    .normalize("NFKC")
    .replaceAll(/\p{Cf}/gu, "")
    .trim();
  const region = country?.trim().toUpperCase() || undefined;
  if (region !== undefined && !isSupportedCountry(region))
    throw refusal(
      "UNKNOWN_COUNTRY",
      // What is not a word may be the number itself.
      `${/^\p{L}{1,20}$/u.test(region) ? `"${country?.trim()}"` : "What is given as the country"} is no country; give its two letters, such as GB or US.`,
    );
  const name = nameOf(text);
  const options = { extract: false, ...(region && { defaultCountry: region }) };
  const number = parse(text, name, options);
  const place = placeOf(number.country ?? region) ?? `country code ${number.countryCallingCode}`;
  if (number.ext) throw refusal("PHONE_EXTENSION", `${name} has an extension; leave it out.`);
  // Emergency numbers and short codes are too short.
  switch (validatePhoneNumberLength(text, options)) {
    case "TOO_SHORT":
      throw refusal("PHONE_TOO_SHORT", `${name} is too short for ${place}.`);
    case "TOO_LONG":
      throw refusal("PHONE_TOO_LONG", `${name} is too long for ${place}.`);
    case undefined:
      break;
    default:
      throw refusal("PHONE_WRONG_LENGTH", `${name} has a length that ${place} does not use.`);
  }
  const type = number.getType();
  if (!number.isValid() || type === undefined)
    throw refusal("PHONE_NOT_VALID", `${name} is not in use in ${place}; look for a wrong digit.`);
  const kind = NOBODYS[type];
  if (kind !== undefined)
    throw refusal("PHONE_NOBODYS", `${name} is ${kind} in ${place}, not a person's phone.`);
  return number.number;
}

/** Whether a number (E.164) can be sent a text, as far as the numbering plans tell. */
export function isTextable(phoneNumber: string): boolean {
  return whyNotTextable(phoneNumber, null) === null;
}

/**
 * Why a number (E.164) is not to be sent a text, in a sentence without the number; null: it may be.
 * @param countries those (ISO 3166-1 alpha-2) that are sent to; null: all
 */
export function whyNotTextable(
  phoneNumber: string,
  countries: ReadonlySet<string> | null,
): string | null {
  let number: PhoneNumber;
  try {
    number = parsePhoneNumberWithError(phoneNumber, { extract: false });
  } catch {
    return "The phone number is none.";
  }
  const { country } = number;
  // Satellite phones and others of no country: a text to them costs many times one to a country.
  if (country === undefined) return "The phone number belongs to no country that we know.";
  if (countries !== null && !countries.has(country))
    return `The phone number is of ${placeOf(country)}, which SMS_COUNTRIES does not name.`;
  if (!TEXTABLE.has(number.getType()))
    return `The phone number is not one of a mobile phone in ${placeOf(country)}.`;
  return null;
}

function parse(
  text: string,
  name: string,
  options: Parameters<typeof parsePhoneNumberWithError>[1] & object,
): PhoneNumber {
  try {
    return parsePhoneNumberWithError(text, options);
  } catch (error) {
    // The library's own reasons (its README, "parsePhoneNumberWithError").
    switch ((error as Error).message) {
      case "TOO_SHORT":
        throw refusal("PHONE_TOO_SHORT", `${name} is too short.`);
      case "TOO_LONG":
        throw refusal("PHONE_TOO_LONG", `${name} is too long.`);
      case "INVALID_COUNTRY":
        throw text.startsWith("+")
          ? refusal("PHONE_NO_COUNTRY", `${name} begins with the code of no country.`)
          : refusal(
              "PHONE_NO_COUNTRY",
              `${name} needs a country: write it with + and the country's code, or name the country.`,
            );
      default:
        throw refusal(
          "PHONE_NOT_A_NUMBER",
          `${name} is none: it may hold digits, spaces, and + - . / ( ).`,
        );
    }
  }
}

function refusal(code: string, sentence: string): UsageError {
  return new UsageError(code, sentence);
}

function nameOf(text: string): string {
  const digits = text.replaceAll(/\P{Nd}/gu, "");
  return digits.length > 2
    ? `The phone number that ends in ${[...digits].slice(-2).join("")}`
    : "The phone number";
}

const names = new Intl.DisplayNames(["en"], { type: "region" });

function placeOf(country: string | undefined): string | null {
  return country === undefined ? null : `${names.of(country) ?? country} (${country})`;
}
