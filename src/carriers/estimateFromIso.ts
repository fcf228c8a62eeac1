import type { DeliveryEstimate } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";

/**
 * An expected delivery given as one or two ISO texts; either may be missing.
 * Aggregators write a date as midnight, so midnight at both ends means the days
 * alone; so does one end that has no time. Null where there is no real date, or
 * the latest comes before the first.
 */
export function estimateFromIso(
  first: string | null | undefined,
  last: string | null | undefined,
): DeliveryEstimate | null {
  const from = timeFromIso(first) ?? timeFromIso(last);
  const until = timeFromIso(last) ?? from;
  if (!from?.localTime || !until?.localTime) return null;
  if (until.localTime < from.localTime.slice(0, until.localTime.length)) return null;
  const ends = [from.localTime, until.localTime].map((text) => text.split("T"));
  const hasTimes = ends.every(([, clock]) => clock !== undefined);
  const isMidnight = ends.every(([, clock]) => clock === "00:00:00");
  if (hasTimes && !isMidnight)
    return {
      from: from.localTime,
      until: until.localTime,
      timeZone: from.timeZone,
      precision: "second",
    };
  return {
    from: from.localTime.slice(0, 10),
    until: until.localTime.slice(0, 10),
    timeZone: null,
    precision: "date",
  };
}
