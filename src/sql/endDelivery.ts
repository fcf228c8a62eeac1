import type { Queryable } from "../db/withTransaction.ts";

/** A word of `bookpost_private.delivery_outcomes`, with what else is known. */
export interface DeliveryResult {
  readonly outcome: string;
  readonly error?: string;
  readonly retryAfterMs?: number | null;
  readonly providerId?: string | null;
}

/**
 * Writes down how an attempt ended: `bookpost_private.end_delivery`. Returns
 * the state the message is left in; null where another attempt has followed:
 * then nothing was changed. Commits.
 */
export async function endDelivery(
  db: Queryable,
  deliveryId: string,
  attempt: number,
  result: DeliveryResult,
): Promise<string | null> {
  const { rows } = await db.query<{ state: string | null }>(
    "select bookpost_private.end_delivery($1::uuid, $2, $3, $4, $5, $6) as state",
    [
      deliveryId,
      attempt,
      result.outcome,
      result.error ?? null,
      result.retryAfterMs ?? null,
      result.providerId ?? null,
    ],
  );
  return rows[0]?.state ?? null;
}
