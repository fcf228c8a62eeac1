import { persist } from "../db/persist.ts";
import type { Queryable } from "../db/withTransaction.ts";
import { type LookupReport, type RecordedLookup, recordLookups } from "../sql/recordLookups.ts";

/** SQLSTATE classes of what is wrong with the data. */
const DATA_TROUBLE = /^(21|22|23)/;
/** A book deleted this very moment breaks a foreign key too; asked again, its row is simply not there any more. */
const FOREIGN_KEY = "23503";
/** lock_not_available: an app's transaction holds a row of some parcel, and may go on holding it. */
const LOCK_TROUBLE = "55P03";

/**
 * Records a batch so that one bad row never costs its neighbours anything: a
 * batch the database cannot take for its data is halved until the row is found,
 * and that one is recorded as malformed, without what the carrier said. Likewise
 * a batch of which something stays locked; that one comes back as `busy`.
 * Trouble that passes (deadlock, restart, lost link) is tried again: a report
 * that was recorded after all is stale the second time and changes nothing.
 */
export async function recordSafely(
  db: Queryable,
  reports: readonly LookupReport[],
  workerId: string,
): Promise<RecordedLookup[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await persist(() => recordLookups(db, reports, workerId));
    } catch (error) {
      const code = String((error as { code?: unknown }).code ?? "");
      if (code === FOREIGN_KEY && attempt === 1) continue;
      if (code === LOCK_TROUBLE || DATA_TROUBLE.test(code))
        return reports.length > 1
          ? recordHalves(db, reports, workerId)
          : recordOne(db, reports[0] as LookupReport, workerId, code);
      throw error;
    }
  }
}

async function recordHalves(
  db: Queryable,
  reports: readonly LookupReport[],
  workerId: string,
): Promise<RecordedLookup[]> {
  const middle = Math.ceil(reports.length / 2);
  return [
    ...(await recordSafely(db, reports.slice(0, middle), workerId)),
    ...(await recordSafely(db, reports.slice(middle), workerId)),
  ];
}

/** The one report for which a batch could not be recorded. */
async function recordOne(
  db: Queryable,
  report: LookupReport,
  workerId: string,
  code: string,
): Promise<RecordedLookup[]> {
  const { lookup_id, calls, outcome } = report;
  if (code === LOCK_TROUBLE)
    return [
      { lookupId: lookup_id, outcome: "busy", parcelId: null, status: null, previousStatus: null },
    ];
  if (outcome === "malformed") throw new Error(`a lookup cannot be recorded: ${code}`);
  const bare: LookupReport = {
    lookup_id,
    outcome: "malformed",
    error_code: "UNRECORDABLE",
    error_message: `The answer holds what the database cannot take (${code}).`,
    calls,
  };
  return recordSafely(db, [bare], workerId);
}
