import type { CarrierTime } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";

/** The letters of Canada's zones, standard and daylight: RFC 5322, section 4.3, and the Atlantic and Newfoundland ones. */
const OFFSETS: Readonly<Record<string, string>> = {
  NST: "-03:30",
  NDT: "-02:30",
  AST: "-04:00",
  ADT: "-03:00",
  EST: "-05:00",
  EDT: "-04:00",
  CST: "-06:00",
  CDT: "-05:00",
  MST: "-07:00",
  MDT: "-06:00",
  PST: "-08:00",
  PDT: "-07:00",
};

/**
 * A moment as Canada Post writes it: "2025-02-03", "11:59:59", "EST". Other
 * letters (scans abroad have a country's name, or nothing) leave the wall clock
 * without a zone. Null where it is no real date.
 */
export function canadianTime(parts: {
  readonly date: string | undefined;
  readonly time: string | undefined;
  readonly zone: string | undefined;
}): CarrierTime | null {
  const { date = "", time = "", zone = "" } = parts;
  const letters = zone.trim().toUpperCase();
  const offset = Object.hasOwn(OFFSETS, letters) ? OFFSETS[letters] : "";
  const told = timeFromIso(time.trim() === "" ? date : `${date.trim()}T${time.trim()}${offset}`);
  // Of a time that is none the day may still be good.
  const read = told ?? timeFromIso(date);
  return read && { ...read, rawTime: rawCanadianTime(parts) };
}

/** What was written, in one text. */
export function rawCanadianTime(parts: {
  readonly date: string | undefined;
  readonly time: string | undefined;
  readonly zone: string | undefined;
}): string {
  return [parts.date, parts.time, parts.zone].filter(Boolean).join(" ");
}
