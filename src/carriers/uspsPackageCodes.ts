/** A package code: 20, 22, 26 or 30 digits that begin with 91 to 95. */
const CODE = "9[1-5](?:\\d{18}|\\d{20}|\\d{24}|\\d{28})";
/** What a scanner reads before it: nothing, or 420 with a ZIP code of nine or of five digits. */
const READINGS = ["420\\d{9}", "420\\d{5}", ""].map((prefix) => new RegExp(`^${prefix}(${CODE})$`));

/**
 * The package codes that a USPS barcode can be read as, without 420 and ZIP
 * code. 34 and 38 digits have two readings where the last digits of a long ZIP
 * code look like the beginning of a code; the shorter code, which is the usual
 * label, comes first. Source: USPS Publication 199 by way of
 * jkeen/tracking_number_data (MIT).
 */
export function uspsPackageCodes(barcode: string): string[] {
  return READINGS.flatMap((reading) => reading.exec(barcode)?.[1] ?? []);
}
