import { DateTime } from "luxon";

/**
 * An instant so many hours ago as a carrier writes it, with an offset and
 * without milliseconds. A fixed date would one day be an earlier parcel's.
 */
export function offsetTime(hoursAgo: number, offset = "-05:00"): string {
  const time = DateTime.now().minus({ hours: hoursAgo }).setZone(`UTC${offset}`).startOf("second");
  return time.toFormat("yyyy-MM-dd'T'HH:mm:ssZZ");
}
