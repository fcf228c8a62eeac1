import type { Queryable } from "../db/withTransaction.ts";

export interface WebhookRow {
  readonly id: string;
  readonly url: string;
  readonly description: string | null;
  /** Null: everyone's news. */
  readonly userId: string | null;
  readonly appUserId: string | null;
  readonly createdAt: Date;
  readonly disabledAt: Date | null;
  readonly disabledReason: string | null;
  /** Messages that wait. */
  readonly waiting: number;
  /** Messages that can be brought back. */
  readonly dead: number;
  /** Until when all messages there wait, after a failure. */
  readonly heldUntil: Date | null;
  readonly lastError: string | null;
}

/** Endpoints, oldest first; with `ids` only those whose id lies in that range. */
export async function readWebhooks(
  db: Queryable,
  ids: readonly [from: string, until: string] | null = null,
): Promise<WebhookRow[]> {
  const { rows } = await db.query<WebhookRow>(
    `select e.id, e.url, e.description, e.user_id as "userId", u.app_user_id as "appUserId", e.created_at as "createdAt",
       e.disabled_at as "disabledAt", e.disabled_reason as "disabledReason", d.waiting, d.dead,
       case when r.not_before > now() then r.not_before end as "heldUntil",
       case when r.failure_count > 0 then r.last_error end as "lastError"
     from bookpost.webhook_endpoints e
     left join bookpost.users u on u.id = e.user_id
     left join bookpost_private.routes r on r.route = 'webhook:' || e.id
     cross join lateral (
       select count(*) filter (where m.state in ('queued', 'sending'))::integer as waiting,
         count(*) filter (where m.state = 'dead')::integer as dead
       from bookpost_private.deliveries m where m.endpoint_id = e.id and m.channel = 'webhook'
     ) d
     where $1::uuid is null or e.id between $1 and $2::uuid
     order by e.created_at, e.id`,
    [ids?.[0] ?? null, ids?.[1] ?? null],
  );
  return rows;
}
