import type { Queryable } from "../../src/db/withTransaction.ts";
import { acquireLookups } from "../../src/sql/acquireLookups.ts";
import { makeDue } from "./ageing.ts";
import { trackBook } from "./trackBook.ts";

/** So many new parcels of a carrier, due; their ids. */
export async function dueParcels(db: Queryable, carrier: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await trackBook(db, carrier)).parcelId);
  await makeDue(db, ...ids);
  return ids;
}

/** The lookup ids of the permits that these parcels get in one call. */
export async function permitsFor(
  db: Queryable,
  parcelIds: readonly string[],
  workerId = "worker",
): Promise<string[]> {
  const verdicts = await acquireLookups(db, parcelIds, workerId);
  return verdicts.flatMap((verdict) => (verdict.verdict === "permit" ? [verdict.lookupId] : []));
}
