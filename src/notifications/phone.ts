import { ParseError, parsePhoneNumberWithError } from "libphonenumber-js/max";
import { UsageError } from "../errors.ts";

/**
 * A phone number as people write it, in international form (E.164).
 * @param country where it is dialled like that (ISO 3166-1 alpha-2); needed unless it begins with +
 * @throws UsageError BAD_PHONE_NUMBER with the reason, never with the number.
 */
export function normalizePhone(written: string, country?: string): string {
  try {
    const number = parsePhoneNumberWithError(written, country as never);
    if (number.isValid()) return number.number;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    if (error.message === "INVALID_COUNTRY")
      throw new UsageError(
        "BAD_PHONE_NUMBER",
        country === undefined
          ? "A phone number without + needs its country: --country GB."
          : `"${country}" is no country: give two letters such as GB.`,
      );
  }
  throw new UsageError("BAD_PHONE_NUMBER", "This is no phone number that can exist.");
}
