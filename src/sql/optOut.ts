import type { Queryable } from "../db/withTransaction.ts";

/** The person herself wants no more messages by this channel: `bookpost.opt_out`. Raises BP404 and BP400. */
export async function optOut(db: Queryable, userId: string | null, channel: string): Promise<void> {
  await db.query("select bookpost.opt_out($1::uuid, $2)", [userId, channel]);
}
