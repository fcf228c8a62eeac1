import type { Queryable } from "../db/withTransaction.ts";

/** What of the messages needs a person, as `bookpost_ops.needs_person` has it. */
export interface DeliveryTrouble {
  readonly kind: "dead_delivery" | "webhook_disabled" | "channel_in_trouble";
  readonly what: string;
  readonly detail: string | null;
}

/** Messages that died, webhooks that were disabled, channels that fail again and again; the newest first. */
export async function readDeliveryTroubles(db: Queryable): Promise<DeliveryTrouble[]> {
  const { rows } = await db.query<DeliveryTrouble>(
    `select n.kind, n.what, n.detail from bookpost_ops.needs_person n
    where n.kind in ('dead_delivery', 'webhook_disabled', 'channel_in_trouble')
    order by n.since desc, n.what`,
  );
  return rows;
}
