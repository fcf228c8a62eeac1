import { DateTime } from "luxon";
import type { CarrierTime } from "./carrier.ts";

/**
 * A wall clock in a zone (IANA name) that is known from the carrier's
 * documents. It gets its instant, unless the clock there skipped that hour in
 * spring or showed it twice in autumn: then nobody can tell, and the instant
 * stays null. What has an offset already, or is only a date, is left as it is.
 */
export function timeInZone(time: CarrierTime | null, timeZone: string): CarrierTime | null {
  if (time?.precision !== "second" || time.timeZone !== null || time.localTime === null)
    return time;
  const moment = DateTime.fromISO(time.localTime, { zone: timeZone });
  // Luxon moves a skipped hour on, and takes one of two.
  const wasSkipped = moment.toFormat("yyyy-MM-dd'T'HH:mm:ss") !== time.localTime;
  const isCertain = !wasSkipped && moment.getPossibleOffsets().length === 1;
  const occurredAt = isCertain ? moment.toUTC().toISO({ suppressMilliseconds: true }) : null;
  return { ...time, occurredAt, timeZone };
}
