import type { Queryable } from "../db/withTransaction.ts";

/** A message, as `bookpost_ops.deliveries` shows it. */
export interface DeliveryRow {
  readonly id: string;
  readonly createdAt: Date;
  readonly channel: string;
  readonly kind: string;
  readonly state: "queued" | "sending" | "sent" | "folded" | "dropped" | "dead";
  readonly reason: string | null;
  readonly dueAt: Date;
  readonly attemptCount: number;
  readonly failureCount: number;
  readonly endedAt: Date | null;
  /** From when it was queued to its end. */
  readonly tookMs: number | null;
  /** It may have arrived twice. */
  readonly isDoubtful: boolean;
  readonly lastError: string | null;
  readonly providerId: string | null;
  readonly userId: string | null;
  readonly appUserId: string | null;
  readonly endpointId: string | null;
  readonly titles: string | null;
}

export interface DeliveryFilter {
  /** Only these; left out: all. */
  readonly ids?: readonly string[];
  readonly userId?: string | undefined;
  readonly state?: string | undefined;
}

/** Messages, the newest first. */
export async function readDeliveries(
  db: Queryable,
  filter: DeliveryFilter,
  limit: number,
): Promise<DeliveryRow[]> {
  const { rows } = await db.query<DeliveryRow>(
    `select d.delivery_id as id, d.created_at as "createdAt", d.channel, d.kind, d.state, d.reason, d.due_at as "dueAt",
      d.attempt_count as "attemptCount", d.failure_count as "failureCount", d.ended_at as "endedAt",
      extract(epoch from d.ended_at - d.created_at)::float8 * 1000 as "tookMs", d.is_doubtful as "isDoubtful",
      d.last_error as "lastError", d.provider_id as "providerId", d.user_id as "userId", d.app_user_id as "appUserId",
      d.endpoint_id as "endpointId", d.titles
    from (
      -- Chosen first: the view gathers the titles of each.
      select p.id from bookpost_private.deliveries p
      where ($1::uuid[] is null or p.id = any ($1)) and ($2::uuid is null or p.user_id = $2) and ($3::text is null or p.state = $3)
      order by p.created_at desc, p.id
      limit $4
    ) n
    join bookpost_ops.deliveries d on d.delivery_id = n.id
    order by d.created_at desc, d.delivery_id`,
    [filter.ids ?? null, filter.userId, filter.state, limit],
  );
  return rows;
}
