import type { Queryable } from "../../src/db/withTransaction.ts";
import { acquireLookups } from "../../src/sql/acquireLookups.ts";
import {
  type LookupReport,
  type RecordedLookup,
  recordLookups,
} from "../../src/sql/recordLookups.ts";
import { makeDue } from "./ageing.ts";

/** The lookup id of a permit for this parcel, which is made due first. Fails where the database refuses. */
export async function permitFor(
  db: Queryable,
  parcelId: string,
  workerId = "worker",
): Promise<string> {
  await makeDue(db, parcelId);
  const [verdict] = await acquireLookups(db, [parcelId], workerId);
  if (verdict?.verdict !== "permit") throw new Error(`no permit: ${verdict?.verdict}`);
  return verdict.lookupId;
}

/** One whole lookup: permit, and the end that `report` makes of it. */
export async function lookUp(
  db: Queryable,
  parcelId: string,
  report: (lookupId: string) => LookupReport,
  workerId = "worker",
): Promise<RecordedLookup | undefined> {
  const lookupId = await permitFor(db, parcelId, workerId);
  const [recorded] = await recordLookups(db, [report(lookupId)], workerId);
  return recorded;
}
