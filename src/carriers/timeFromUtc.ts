import type { CarrierTime } from "./carrier.ts";
import { timeFromIso, utcOffset } from "./carrierTime.ts";

/**
 * A moment given in UTC, with or without a "Z", beside the offset of the clock
 * there ("-7:00"), from which that clock follows. Without a usable offset the
 * wall clock is not known. Null where `utc` is no instant.
 */
export function timeFromUtc(
  utc: string | null | undefined,
  offset: string | null | undefined,
): CarrierTime | null {
  const rawTime = utc?.trim() ?? "";
  const instant = timeFromIso(rawTime)?.occurredAt ?? timeFromIso(`${rawTime}Z`)?.occurredAt;
  if (instant === null || instant === undefined) return null;
  const timeZone = utcOffset(offset);
  return {
    occurredAt: instant,
    localTime: timeZone === null ? null : wallClock(instant, timeZone),
    timeZone,
    precision: "second",
    rawTime,
  };
}

/** What a clock that is set to `timeZone` shows at an instant; null past the year 9999, which no scan has. */
function wallClock(instant: string, timeZone: string): string | null {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):(\d{2})$/.exec(timeZone) ?? [];
  const aheadMinutes = Number(`${sign ?? "+"}1`) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0));
  const text = new Date(Date.parse(instant) + aheadMinutes * 60_000).toISOString();
  return text.startsWith("+") ? null : text.slice(0, 19);
}
