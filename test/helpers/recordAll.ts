import type { Queryable } from "../../src/db/withTransaction.ts";
import {
  type LookupReport,
  type RecordedLookup,
  recordLookups,
} from "../../src/sql/recordLookups.ts";

/** Records these, again and again where another transaction has the parcel in hand, as a worker does. */
export async function recordAll(
  db: Queryable,
  reports: readonly LookupReport[],
  workerId = "worker",
): Promise<RecordedLookup[]> {
  const written: RecordedLookup[] = [];
  let left = reports;
  while (left.length > 0) {
    const ends = await recordLookups(db, left, workerId);
    written.push(...ends.filter(({ outcome }) => outcome !== "busy"));
    const busy = new Set(ends.flatMap((end) => (end.outcome === "busy" ? [end.lookupId] : [])));
    left = left.filter(({ lookup_id }) => busy.has(lookup_id));
  }
  return written;
}
