import type { Queryable } from "../db/withTransaction.ts";

/** Makes the ledgers' partitions for the coming months: `bookpost_private.make_partitions`. Commits. */
export async function makePartitions(db: Queryable): Promise<void> {
  await db.query("select bookpost_private.make_partitions()");
}
