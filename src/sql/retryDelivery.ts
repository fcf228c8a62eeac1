import type { Queryable } from "../db/withTransaction.ts";

/** Queues a dead message once more: `bookpost_private.retry_delivery`. Raises BP404, and BP409 for one that is not dead or whose endpoint is disabled. Commits. */
export async function retryDelivery(db: Queryable, deliveryId: string): Promise<void> {
  await db.query("select bookpost_private.retry_delivery($1::uuid)", [deliveryId]);
}
