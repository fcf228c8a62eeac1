import type { TestDatabase } from "../helpers/template.ts";
import type { Arrival, Receivers } from "./receivers.ts";

/**
 * What must not be found of messages when all is quiet again, by the database
 * and by the receivers' own logs: each question, and the offenders. For a world
 * without damping, where all have an email address and one endpoint serves everyone.
 */
export async function judgeMessages(
  { pool }: TestDatabase,
  { arrivals, refused }: Receivers,
): Promise<Record<string, unknown[]>> {
  const ask = async (sql: string) => (await pool.query(sql)).rows;
  const deliveries = await ask(
    "select id, channel, kind, state, reason, is_doubtful, last_error from bookpost_private.deliveries",
  );
  const known = new Map(deliveries.map((row) => [row.id, row]));
  const arrived = Map.groupBy(arrivals, ({ id }) => id);
  const twice = [...arrived.values()].filter(({ length }) => length > 1);
  const row = ({ id }: Arrival) => known.get(id);
  return {
    "a notification has not one message for each way": await ask(
      `select n.id, w.channel, count(i.delivery_id)
       from bookpost.notifications n
       cross join (
         select 'email' as channel, null::uuid as endpoint_id
         union all select 'webhook', e.id from bookpost.webhook_endpoints e
       ) w
       left join bookpost_private.delivery_items i
         on i.notification_id = n.id and i.channel = w.channel and i.endpoint_id is not distinct from w.endpoint_id
       group by n.id, w.channel, w.endpoint_id having count(i.delivery_id) <> 1`,
    ),
    "a message has not come to an end, or is dead": deliveries.filter(
      ({ state }) => !["sent", "folded", "dropped"].includes(state),
    ),
    "a message was dropped though it had something to tell": await ask(
      `select d.id, d.channel, d.reason, n.status_version
       from bookpost_private.deliveries d
       join bookpost_private.channels c using (channel)
       join bookpost_private.delivery_items i on i.delivery_id = d.id
       join bookpost.notifications n on n.id = i.notification_id
       where d.state = 'dropped' and not (d.reason = 'superseded' and c.supersedes and exists (
         select from bookpost.notifications o
         where o.user_id = n.user_id and o.book_id = n.book_id and o.parcel_id = n.parcel_id and o.status_version > n.status_version
       ))`,
    ),
    "a message was folded into a digest that was not sent": await ask(
      `select d.id from bookpost_private.deliveries d
       left join bookpost_private.deliveries g on g.id = d.digest_id
       where d.state = 'folded' and g.state is distinct from 'sent'`,
    ),
    "a message is sent and never arrived": deliveries.filter(
      ({ id, state }) => state === "sent" && !arrived.has(id),
    ),
    "something arrived that the database does not know": arrivals.filter(
      (arrival) => row(arrival)?.channel !== arrival.channel,
    ),
    "a message has arrived and is not sent, with no doubt about it": arrivals
      .map(row)
      .filter((message) => message && message.state !== "sent" && !message.is_doubtful),
    "an email arrived twice and nothing says that it may have": twice.filter(
      ([first]) => first?.channel === "email" && !row(first)?.is_doubtful,
    ),
    "a webhook came again under its id with other bytes": twice.filter(
      (messages) => new Set(messages.map(({ digest }) => digest)).size > 1,
    ),
    "a receiver could not verify a message": [...refused],
    "a book's newest stage was not told by email": await ask(
      `select n.id, n.status from bookpost.notifications n
       where not exists (
         select from bookpost.notifications o
         where o.user_id = n.user_id and o.book_id = n.book_id and o.parcel_id = n.parcel_id and o.status_version > n.status_version
       ) and not exists (
         select from bookpost_private.delivery_items i
         join bookpost_private.deliveries d on d.id = i.delivery_id
         left join bookpost_private.deliveries g on g.id = d.digest_id
         where i.notification_id = n.id and i.channel = 'email' and coalesce(g.state, d.state) = 'sent'
       )`,
    ),
  };
}
