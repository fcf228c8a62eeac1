import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { beginDelivery } from "../../../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../../../src/sql/endDelivery.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** Someone with an email address whose book the carrier is asked about. */
async function reader(hoursOfScans = 9) {
  const client = await rolledBack(db);
  await client.query(
    "update bookpost_private.channels set is_configured = true where channel = 'email'",
  );
  const api = await makeApi(client);
  const owner = await makeUser(client);
  await client.query("update bookpost.users set email = 'ann@example.com' where id = $1", [owner]);
  const book = await trackBook(client, api.code, { owner });
  let hours = hoursOfScans;
  const tell = (status: string, more: { is_action_required?: boolean } = {}) => {
    hours -= 0.01;
    return lookUp(client, book.parcelId, (id) =>
      found(id, { events: [{ ...scan(ago(hours), status), ...more }] }),
    );
  };
  return { client, api, owner, book, tell };
}

async function messages(client: ClientBase) {
  const { rows } = await client.query<{ id: string; state: string; reason: string | null }>(
    "select id, state, reason from bookpost_private.deliveries order by created_at, id",
  );
  return rows;
}

async function last(client: ClientBase): Promise<string> {
  const id = (await messages(client)).at(-1)?.id;
  if (id === undefined) throw new Error("no message is queued");
  return id;
}

async function send(client: ClientBase, id: string): Promise<string> {
  const order = await beginDelivery(client, id, "worker");
  if (order.verdict !== "send") return order.reason;
  await endDelivery(client, id, order.attempt, { outcome: "sent" });
  return "sent";
}

/** As if so much time had gone by since everything that was told and queued. */
async function age(client: ClientBase, by: string): Promise<void> {
  await client.query("update bookpost.notifications set created_at = created_at - $1::interval", [
    by,
  ]);
  await client.query(
    `update bookpost_private.deliveries set created_at = created_at - $1::interval,
       due_at = due_at - $1::interval, attempted_at = attempted_at - $1::interval`,
    [by],
  );
}

test("one attempt is one worker's: a second one that begins finds it broken off, and the first one's end counts no more", async () => {
  const { client, tell } = await reader();
  await tell("in_transit");
  const id = await last(client);
  const first = await beginDelivery(client, id, "first");
  const second = await beginDelivery(client, id, "second");
  expect(first).toMatchObject({ verdict: "send", attempt: 1 });
  expect(second).toMatchObject({ verdict: "send", attempt: 2 });
  expect(await endDelivery(client, id, 1, { outcome: "sent" })).toBeNull();
  expect(await endDelivery(client, id, 2, { outcome: "sent" })).toBe("sent");
  const { rows } = await client.query(
    "select is_doubtful, failure_count from bookpost_private.deliveries where id = $1",
    [id],
  );
  expect(rows).toEqual([{ is_doubtful: true, failure_count: 1 }]);
});

test("a message whose sending kills every worker ends dead", async () => {
  const { client, tell } = await reader();
  await tell("in_transit");
  const id = await last(client);
  const verdicts = [];
  for (let turn = 0; turn < 27; turn++)
    verdicts.push((await beginDelivery(client, id, "w")).verdict);
  expect(verdicts.filter((verdict) => verdict === "send")).toHaveLength(25);
  expect(await messages(client)).toMatchObject([{ state: "dead", reason: "attempts_spent" }]);
});

test("who opts out after it was queued gets nothing", async () => {
  const { client, owner, tell } = await reader();
  await tell("in_transit");
  await client.query("select bookpost.opt_out($1, 'email')", [owner]);
  expect(await send(client, await last(client))).toBe("opted_out");
  expect(await messages(client)).toMatchObject([{ state: "dropped", reason: "opted_out" }]);
});

test("news that wait are replaced by newer news of the same book", async () => {
  const { client, tell } = await reader();
  await tell("in_transit");
  const old = await last(client);
  await tell("out_for_delivery");
  expect(await send(client, old)).toBe("superseded");
  expect(await send(client, await last(client))).toBe("sent");
});

test("a stage left and reached again before anything newer went out is told once", async () => {
  const { client, tell } = await reader();
  await tell("in_transit");
  await send(client, await last(client));
  await tell("exception");
  const between = await last(client);
  await tell("in_transit");
  const back = await last(client);
  expect(await send(client, between)).toBe("superseded");
  await client.query(
    "update bookpost_private.deliveries set due_at = clock_timestamp() where id = $1",
    [back],
  );
  expect(await send(client, back)).toBe("superseded");
});

test("a call for action that comes and goes is told once in half an hour", async () => {
  const { client, tell } = await reader();
  await tell("in_transit");
  await send(client, await last(client));
  await tell("in_transit", { is_action_required: true });
  expect(await send(client, await last(client))).toBe("sent");
  await tell("in_transit");
  await tell("in_transit", { is_action_required: true });
  const again = await last(client);
  expect(await send(client, again)).toBe("not_due");
  await client.query(
    "update bookpost_private.deliveries set due_at = clock_timestamp() where id = $1",
    [again],
  );
  expect(await send(client, again)).toBe("superseded");
});

/** So many books of hers, each with news of its own to send. */
async function manyNews(count: number) {
  const { client, api, owner } = await reader();
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const { parcelId } = await trackBook(client, api.code, { owner, title: `Book ${n}` });
    await lookUp(client, parcelId, (id) => found(id, { events: [scan(ago(3), "in_transit")] }));
    ids.push(await last(client));
  }
  return { client, ids };
}

test("after ten emails in an hour the rest waits in one digest, which is sent when the hour has passed", async () => {
  const { client, ids } = await manyNews(13);
  const ends = [];
  for (const id of ids) ends.push(await send(client, id));
  expect(ends).toEqual([...Array(10).fill("sent"), ...Array(3).fill("folded")]);
  const { rows } = await client.query<{ id: string }>(
    "select id from bookpost_private.deliveries where kind = 'digest'",
  );
  expect(rows).toHaveLength(1);
  const digest = rows[0]?.id ?? "";
  await client.query(
    "update bookpost_private.deliveries set due_at = clock_timestamp() where id = $1",
    [digest],
  );
  expect(await send(client, digest)).toBe("cap_of_the_hour");
  await age(client, "61 minutes");
  const order = await beginDelivery(client, digest, "worker");
  expect(order).toMatchObject({ verdict: "send", message: { news: { length: 3 } } });
});

test("emails that a clock set back has left in the future fill no hour", async () => {
  const { client, ids } = await manyNews(11);
  for (const id of ids.slice(0, 10)) await send(client, id);
  await client.query(
    "update bookpost_private.deliveries set attempted_at = attempted_at + interval '10 years' where state = 'sent'",
  );
  expect(await send(client, ids[10] ?? "")).toBe("sent");
});

test("a digest that could not be sent in the channel's time is dead like any other message", async () => {
  const { client, ids } = await manyNews(11);
  for (const id of ids) await send(client, id);
  await age(client, "97 hours");
  const { rows } = await client.query<{ id: string }>(
    "select id from bookpost_private.deliveries where kind = 'digest'",
  );
  expect(await send(client, rows[0]?.id ?? "")).toBe("too_old");
});

test("two books in one parcel are one message", async () => {
  const { client, api, owner, book, tell } = await reader();
  await trackBook(client, api.code, { owner, number: book.number, title: "Another" });
  await tell("in_transit");
  expect(await messages(client)).toHaveLength(1);
  expect(await beginDelivery(client, await last(client), "worker")).toMatchObject({
    message: { news: { length: 2 } },
  });
});

test("who stopped while the parcel moved, and begins again, is told where it is now and not again what she knew", async () => {
  const { client, api, owner, book, tell } = await reader();
  await trackBook(client, api.code, {
    owner: await makeUser(client),
    number: book.number,
  });
  await tell("in_transit");
  await client.query("select bookpost.stop_tracking($1)", [book.bookId]);
  await tell("out_for_delivery");
  await trackBook(client, api.code, { owner, number: book.number });
  await client.query("select bookpost.refresh_book($1)", [book.bookId]);
  await tell("out_for_delivery");
  await tell("out_for_delivery");
  const { rows } = await client.query<{ status: string }>(
    "select status from bookpost.notifications where book_id = $1 order by status_version",
    [book.bookId],
  );
  expect(rows.map(({ status }) => status)).toEqual(["in_transit", "out_for_delivery"]);
});

test.each([
  [71, 1],
  [73, 0],
])("whose first answer tells of a stage %d hours old gets %d messages", async (hours, count) => {
  const { client, tell } = await reader(hours);
  await tell("in_transit");
  expect(await messages(client)).toHaveLength(count);
});
