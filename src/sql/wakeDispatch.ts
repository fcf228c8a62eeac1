import type { Queryable } from "../db/withTransaction.ts";

/** Asks for a dispatch now: `bookpost_private.wake_dispatch`. Commits. */
export async function wakeDispatch(db: Queryable): Promise<void> {
  await db.query("select bookpost_private.wake_dispatch()");
}
