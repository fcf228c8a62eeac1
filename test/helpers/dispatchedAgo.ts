import type { Queryable } from "../../src/db/withTransaction.ts";

/** The last dispatch was `ago` ("64 seconds"; with a minus, in the future). */
export async function dispatchedAgo(db: Queryable, ago: string): Promise<void> {
  await db.query(
    "update bookpost_private.dispatch_clock set dispatched_at = clock_timestamp() - $1::interval",
    [ago],
  );
}
