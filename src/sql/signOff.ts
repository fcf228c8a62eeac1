import type { Queryable } from "../db/withTransaction.ts";

/** A worker that stops in good order takes its row away, so that nobody mistakes it for dead. Commits. */
export async function signOff(db: Queryable, workerId: string): Promise<void> {
  await db.query("delete from bookpost_private.workers where id = $1", [workerId]);
}
