import type { Queryable } from "../db/withTransaction.ts";

/** `message` has the shape that `bookpost_private.message_of` gives it. */
export type DeliveryOrder =
  | { readonly verdict: "send"; readonly attempt: number; readonly message: unknown }
  /** Not now; its job is queued anew. */
  | { readonly verdict: "wait"; readonly reason: string }
  /** Nothing is to be done any more. */
  | { readonly verdict: "ended"; readonly reason: string };

/** Says what is to be done with a message: `bookpost_private.begin_delivery`. Commits. */
export async function beginDelivery(
  db: Queryable,
  deliveryId: string,
  workerId: string,
): Promise<DeliveryOrder> {
  const { rows } = await db.query<DeliveryOrder>(
    "select verdict, reason, attempt, message from bookpost_private.begin_delivery($1::uuid, $2)",
    [deliveryId, workerId],
  );
  return rows[0] ?? { verdict: "ended", reason: "gone" };
}
