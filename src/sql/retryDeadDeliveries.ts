import type { Queryable } from "../db/withTransaction.ts";

/**
 * Queues every dead message once more (`bookpost_private.retry_delivery`), or
 * those of one channel, but for those to endpoints that are disabled. All or
 * none; raises BP409 where somebody else retries one at this moment. Their ids.
 */
export async function retryDeadDeliveries(
  db: Queryable,
  channel: string | null,
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select r.id
    from (
      select d.id from bookpost_private.deliveries d
      where d.state = 'dead' and ($1::text is null or d.channel = $1)
        and not (d.channel = 'webhook' and exists (
          select from bookpost.webhook_endpoints e where e.id = d.endpoint_id and e.disabled_at is not null
        ))
      order by d.id
    ) d
    cross join lateral bookpost_private.retry_delivery(d.id) r`,
    [channel],
  );
  return rows.map(({ id }) => id);
}
