import type { Queryable } from "../db/withTransaction.ts";

/** The person herself wants messages by this channel (again): `bookpost.opt_in`. Raises BP404 and BP400. */
export async function optIn(db: Queryable, userId: string | null, channel: string): Promise<void> {
  await db.query("select bookpost.opt_in($1::uuid, $2)", [userId, channel]);
}
