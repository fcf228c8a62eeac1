import type { Queryable } from "../db/withTransaction.ts";

/** Ends the tracking of a book for its owner: `bookpost.stop_tracking`. Raises BP404. */
export async function stopTracking(db: Queryable, bookId: string): Promise<void> {
  await db.query("select bookpost.stop_tracking($1::uuid)", [bookId]);
}
