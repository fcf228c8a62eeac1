import type { CarrierTime } from "./carrier.ts";

/** Two clocks on earth differ by at most 26 hours: UTC-12 to UTC+14. */
export const WIDEST_ZONE_DIFFERENCE_MS = 26 * 3_600_000;

/** Milliseconds to order by: the instant, or else the wall clock as if it stood in UTC (a date: its midnight). */
export function sortTime({ occurredAt, localTime }: CarrierTime): number {
  if (occurredAt !== null) return Date.parse(occurredAt);
  const text = localTime ?? "";
  return Date.parse(text.includes("T") ? `${text}Z` : `${text}T00:00:00Z`);
}

/** The parts of a wall clock, as texts. `time` is null where only a date was given. */
interface WallClock {
  /** "2025-08-26" */
  readonly date: string;
  /** "08:44:34" */
  readonly time: string | null;
}

/** Books were not tracked before; a year 0 or 1 is a carrier's empty field. Chosen. */
const FIRST_YEAR = 1970;

/** "2025-08-26" if the calendar has that day, otherwise null: 31 February is nobody's date. */
function realDate(year: string, month: string, day: string): string | null {
  const text = `${year}-${month}-${day}`;
  const ms = Date.parse(`${text}T00:00:00Z`);
  // Date.parse rolls some impossible days over into the next month.
  const isReal = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
  return isReal && Number(year) >= FIRST_YEAR ? text : null;
}

function realTime(hour: string, minute: string, second: string): string | null {
  return Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60
    ? `${hour}:${minute}:${second}`
    : null;
}

/** UPS's "20250826" → "2025-08-26"; null where it is no real date. */
export function compactDate(text: string | null | undefined): string | null {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text?.trim() ?? "") ?? [];
  return year && month && day ? realDate(year, month, day) : null;
}

/** UPS's "084434", "74700" and "15:44:34" → "08:44:34"; null where it is no real time of day. */
export function compactTime(text: string | null | undefined): string | null {
  const digits = (text ?? "").trim().replaceAll(":", "").padStart(6, "0");
  const [, hour, minute, second] = /^(\d{2})(\d{2})(\d{2})$/.exec(digits) ?? [];
  return text?.trim() && hour && minute && second ? realTime(hour, minute, second) : null;
}

/** "-07:00", "-04.00", "-7:00", "+0530", "Z" → "-07:00", "-04:00", …, "UTC"; null where it is no offset in use on earth. */
export function utcOffset(text: string | null | undefined): string | null {
  if (text?.trim().toUpperCase() === "Z") return "UTC";
  const [, sign, hours, minutes = "00"] =
    /^([+-])(\d{1,2})(?:[:.]?(\d{2}))?$/.exec(text?.trim() ?? "") ?? [];
  if (!sign || !hours) return null;
  // UTC-12 to UTC+14 are all there are.
  if (Number(hours) > 14 || Number(minutes) > 59) return null;
  return `${sign}${hours.padStart(2, "0")}:${minutes}`;
}

function toInstant(wall: WallClock, offset: string): string | null {
  if (wall.time === null) return null;
  const ms = Date.parse(`${wall.date}T${wall.time}${offset === "UTC" ? "Z" : offset}`);
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

/**
 * A moment given as separate local and UTC parts, the way UPS does. The UTC
 * part gives the instant, the local part the wall clock; either may be missing
 * or nonsense without spoiling the other. Null where neither is a real date.
 */
export function timeFromParts(
  parts: {
    readonly date?: string | null | undefined;
    readonly time?: string | null | undefined;
    readonly utcDate?: string | null | undefined;
    readonly utcTime?: string | null | undefined;
    readonly offset?: string | null | undefined;
  },
  rawTime: string,
): CarrierTime | null {
  const date = compactDate(parts.date);
  const time = compactTime(parts.time);
  const utcDate = compactDate(parts.utcDate);
  const utcTime = compactTime(parts.utcTime);
  const occurredAt = utcDate === null ? null : toInstant({ date: utcDate, time: utcTime }, "UTC");
  if (date === null && occurredAt === null) return null;
  return {
    occurredAt,
    localTime: date === null ? null : time === null ? date : `${date}T${time}`,
    timeZone: utcOffset(parts.offset),
    precision: occurredAt === null && time === null ? "date" : "second",
    rawTime,
  };
}

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*(Z|[+-]\d{1,2}(?::?\d{2})?)?)?$/i;

/**
 * An ISO 8601 date, or date and time with or without an offset. Without one the
 * instant stays null: the wall clock is all that was said. Null where it is no
 * real moment. Fractions of a second are dropped from what we keep, not from `rawTime`.
 */
export function timeFromIso(text: string | null | undefined): CarrierTime | null {
  const rawTime = text?.trim() ?? "";
  const [, year, month, day, hour, minute, second = "00", zone] = ISO.exec(rawTime) ?? [];
  if (!year || !month || !day) return null;
  const date = realDate(year, month, day);
  if (date === null) return null;
  if (!hour || !minute)
    return { occurredAt: null, localTime: date, timeZone: null, precision: "date", rawTime };
  const time = realTime(hour, minute, second);
  if (time === null) return null;
  const timeZone = utcOffset(zone);
  return {
    occurredAt: timeZone === null ? null : toInstant({ date, time }, timeZone),
    localTime: `${date}T${time}`,
    timeZone,
    precision: "second",
    rawTime,
  };
}
