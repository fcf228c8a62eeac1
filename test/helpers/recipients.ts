import type { ClientBase } from "pg";
import type { Queryable } from "../../src/db/withTransaction.ts";
import { beginDelivery, type DeliveryOrder } from "../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../src/sql/endDelivery.ts";
import { lookUp } from "./lookUp.ts";
import { makeApi } from "./makeApi.ts";
import { one } from "./one.ts";
import { found, scan } from "./reports.ts";
import { trackBook } from "./trackBook.ts";
import { uniqueName } from "./uniqueName.ts";

// People who can be reached, and the messages to them. Time passes by moving stored times back, never by waiting.

export type Channel = "email" | "sms" | "webhook";

/** What became of a message. */
export interface Delivery {
  readonly id: string;
  readonly channel: Channel;
  readonly kind: string;
  readonly state: string;
  readonly reason: string | null;
  readonly digest_id: string | null;
  readonly endpoint_id: string | null;
  readonly attempt_count: number;
  readonly failure_count: number;
  readonly is_doubtful: boolean;
  readonly last_error: string | null;
  /** From now to its due time, in seconds. */
  readonly wait: number;
}

/** A worker can send by these channels. */
export async function configureChannels(
  db: Queryable,
  ...channels: readonly Channel[]
): Promise<void> {
  await db.query(
    "update bookpost_private.channels set is_configured = channel = 'webhook' or channel = any ($1)",
    [channels],
  );
}

let phones = 0;

/** Someone with an email address and a number verified long ago, who wants both; the id. */
export async function makeRecipient(db: Queryable): Promise<string> {
  phones += 1;
  const { id } = await one<{ id: string }>(
    db,
    `insert into bookpost.users (app_user_id, name, email, phone_number, phone_verified_at, is_sms_wanted)
     values ($1, 'Ann', $1 || '@example.org', $2, clock_timestamp() - interval '90 days', true) returning id`,
    [uniqueName("user"), `+4474001${String(phones).padStart(5, "0")}`],
  );
  return id;
}

/** All messages to a person, oldest first. */
export async function deliveriesTo(db: Queryable, userId: string): Promise<Delivery[]> {
  const { rows } = await db.query<Delivery>(
    `select *, extract(epoch from due_at - clock_timestamp())::double precision as wait
     from bookpost_private.deliveries where user_id = $1 order by created_at, id`,
    [userId],
  );
  return rows;
}

export async function deliveryOf(db: Queryable, id: string): Promise<Delivery> {
  return one<Delivery & Record<string, unknown>>(
    db,
    `select *, extract(epoch from due_at - clock_timestamp())::double precision as wait
     from bookpost_private.deliveries where id = $1`,
    [id],
  );
}

/** `by` has passed for all notifications, messages and ways; what came due meanwhile has just done so. */
export async function ageMessages(db: Queryable, by: string): Promise<void> {
  await db.query("update bookpost.notifications set created_at = created_at - $1::interval", [by]);
  await db.query(
    `update bookpost_private.deliveries set created_at = created_at - $1::interval,
       due_at = greatest(due_at - $1::interval, least(due_at, clock_timestamp() - interval '1 second')),
       attempted_at = attempted_at - $1::interval, ended_at = ended_at - $1::interval`,
    [by],
  );
  await db.query(
    `update bookpost_private.routes set not_before = not_before - $1::interval,
       last_failed_at = last_failed_at - $1::interval`,
    [by],
  );
}

export function begin(db: Queryable, id: string): Promise<DeliveryOrder> {
  return beginDelivery(db, id, "worker");
}

/** One whole attempt, if it is its time: the state that it ends in, or why there was none. */
export async function attempt(db: Queryable, id: string, outcome = "sent"): Promise<string | null> {
  const order = await begin(db, id);
  if (order.verdict !== "send") return order.reason;
  return endDelivery(db, id, order.attempt, { outcome, error: `It was ${outcome}.` });
}

/** A parcel of one person's book: what its carrier says of it next, and the messages that it makes. */
export interface NewsOfBook {
  readonly bookId: string;
  readonly parcelId: string;
  readonly number: string;
  /** The stage that it is in by now; the messages queued by it, by channel and then endpoint. */
  tell(status: string, more?: Readonly<Record<string, unknown>>): Promise<Delivery[]>;
}

/** Tracks a book for someone whose carrier can tell of it. */
export async function bookFor(
  client: ClientBase,
  userId: string,
  options: { readonly title?: string; readonly number?: string; readonly apiCode?: string } = {},
): Promise<NewsOfBook & { readonly apiCode: string }> {
  const apiCode = options.apiCode ?? (await makeApi(client)).code;
  const { bookId, parcelId, number } = await trackBook(client, apiCode, {
    owner: userId,
    ...options,
  });
  const tell = async (status: string, more: Readonly<Record<string, unknown>> = {}) => {
    const { rows: before } = await client.query<{ id: string }>(
      "select id from bookpost_private.deliveries",
    );
    const known = new Set(before.map(({ id }) => id));
    // Each the newest: a scan with an earlier time changes no stage.
    const at = new Date().toISOString();
    await lookUp(client, parcelId, (id) => found(id, { events: [scan(at, status, more)] }));
    const { rows } = await client.query<Delivery>(
      `select *, extract(epoch from due_at - clock_timestamp())::double precision as wait
       from bookpost_private.deliveries order by channel, endpoint_id, user_id`,
    );
    return rows.filter(({ id }) => !known.has(id));
  };
  return { bookId, parcelId, number, apiCode, tell };
}
