import { sortTime, WIDEST_ZONE_DIFFERENCE_MS } from "./carrierTime.ts";
import type { Scan } from "./eventsFromScans.ts";

/**
 * Turns a list that its carrier documents as newest first. Where the times say
 * without doubt that it came the other way round, it stays as it is: in doubt
 * (wall clocks of unknown zones, less than 26 hours apart) the document wins.
 */
export function oldestFirst(scans: readonly Scan[]): readonly Scan[] {
  const times = scans.flatMap(({ time }) => (time === null ? [] : [time]));
  const [first, last] = [times.at(0), times.at(-1)];
  if (first === undefined || last === undefined) return scans;
  const areInstants = first.occurredAt !== null && last.occurredAt !== null;
  const doubtMs = areInstants ? 0 : WIDEST_ZONE_DIFFERENCE_MS;
  return sortTime(last) - sortTime(first) > doubtMs ? scans : scans.toReversed();
}
