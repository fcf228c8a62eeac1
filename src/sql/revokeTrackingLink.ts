import type { Queryable } from "../db/withTransaction.ts";

/** Ends a public link for good; said again it changes nothing. Raises BP404. */
export async function revokeTrackingLink(db: Queryable, linkId: string): Promise<void> {
  await db.query("select bookpost.revoke_tracking_link($1::uuid)", [linkId]);
}
