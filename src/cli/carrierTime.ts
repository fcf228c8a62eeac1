import { utc } from "./ownTime.ts";

/** A carrier's time as stored and as parsed: the instant, the wall clock, and the offset or zone it gave. */
export interface CarrierMoment {
  readonly occurredAt: Date | string | null;
  readonly localTime: string | null;
  readonly timeZone: string | null;
}

/**
 * The carrier's own time, never converted: "2025-08-26 08:44:34 -07:00". A date
 * stays a date; a wall clock without a zone says so; an instant without a wall
 * clock is told in UTC. Null where nothing is known.
 */
export function carrierTime({ occurredAt, localTime, timeZone }: CarrierMoment): string | null {
  if (localTime === null) return occurredAt === null ? null : utc(new Date(occurredAt));
  if (!localTime.includes("T")) return localTime;
  return `${wallClock(localTime)} ${timeZone ?? "local time"}`;
}

/** "2025-08-27T14:00:00" → "2025-08-27 14:00:00". */
function wallClock(localTime: string): string {
  return localTime.replace("T", " ");
}

/** From and until as wall clocks there; one day is one date, one day's hours are not told twice. */
export function carrierEstimate(estimate: {
  readonly from: string;
  readonly until: string;
  readonly timeZone: string | null;
}): string {
  const { from, until, timeZone } = estimate;
  const zone = from.includes("T") ? ` ${timeZone ?? "local time"}` : "";
  if (from === until) return wallClock(from) + zone;
  const [fromDay] = from.split("T");
  const [untilDay, untilTime] = until.split("T");
  const end = fromDay === untilDay && untilTime !== undefined ? untilTime : wallClock(until);
  return `${wallClock(from)} to ${end}${zone}`;
}
