import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import {
  ageMessages,
  attempt,
  begin,
  bookFor,
  configureChannels,
  deliveriesTo,
  makeRecipient,
} from "../../../helpers/recipients.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

// What an operator sees of messages: bookpost_ops.deliveries, channels, needs_person, stuck.

const db = testDatabase();

async function annsBook(leavesStuck = false) {
  const client = await rolledBack(db, { leavesStuck });
  await configureChannels(client, "sms");
  const ann = await makeRecipient(client);
  const another = async (title: string) => {
    const [delivery] = await (await bookFor(client, ann, { title })).tell("in_transit");
    return delivery?.id ?? "";
  };
  return { client, ann, another };
}

const kindsIn = async (client: ClientBase, view: string) =>
  (await client.query<{ kind: string }>(`select kind from bookpost_ops.${view}`)).rows.map(
    ({ kind }) => kind,
  );

test("each message is listed with its books, a digest with those folded into it, and no address", async () => {
  const { client, ann, another } = await annsBook();
  const ids: string[] = [];
  for (const title of ["A", "B", "C", "D", "E"]) {
    ids.push(await another(title));
    await attempt(client, ids.at(-1) ?? "");
  }
  const { rows } = await client.query<{
    delivery_id: string;
    kind: string;
    state: string;
    titles: string;
  }>("select * from bookpost_ops.deliveries where user_id = $1", [ann]);
  const seen = rows.map(({ kind, state, titles }) => `${kind} ${state}: ${titles}`).toSorted();
  expect(seen).toEqual([
    "digest queued: D, E",
    "news folded: D",
    "news folded: E",
    "news sent: A",
    "news sent: B",
    "news sent: C",
  ]);
  const { email, phone } = await one<{ email: string; phone: string }>(
    client,
    "select email, phone_number as phone from bookpost.users where id = $1",
    [ann],
  );
  expect(JSON.stringify(rows)).not.toContain(phone);
  expect(JSON.stringify(rows)).not.toContain(email);
});

test("a channel shows what waits, what was sent in this hour and what is dead", async () => {
  const { client, another } = await annsBook();
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await another(`Book ${i}`));
  const [first = "", dead = "", second = "", begun = ""] = ids;
  await attempt(client, first);
  await ageMessages(client, "61 minutes");
  await attempt(client, dead, "refused");
  await attempt(client, second);
  await begin(client, begun);
  await client.query(
    "update bookpost_private.deliveries set due_at = clock_timestamp() where state in ('queued', 'sending')",
  );
  const { rows } = await client.query("select * from bookpost_ops.channels order by channel");
  expect(rows).toHaveLength(3);
  expect(rows[1]).toMatchObject({
    channel: "sms",
    is_configured: true,
    waiting: 2,
    sent_last_hour: 1,
    dead: 1,
    held_until: null,
  });
  expect(rows[0]).toMatchObject({
    channel: "email",
    is_configured: false,
    waiting: 0,
    oldest_due_at: null,
  });
});

test("a channel in trouble is shown as one row with its error, until when it is left alone", async () => {
  const { client, another } = await annsBook();
  await attempt(client, await another("A"), "unavailable");
  const sql =
    "select held_until > clock_timestamp() as is_held, last_error from bookpost_ops.channels where channel = 'sms'";
  // The view asks now(), which stands still in a transaction.
  expect((await client.query(sql)).rows).toEqual([
    { is_held: true, last_error: "It was unavailable." },
  ]);
});

test.each([
  ["refused", ["dead_delivery"]],
  ["no_such_address", []],
  ["opted_out", []],
  ["sent", []],
])("a message that ended as %s needs %j", async (outcome, kinds) => {
  const { client, another } = await annsBook();
  await attempt(client, await another("A"), outcome);
  expect(await kindsIn(client, "needs_person")).toEqual(kinds);
  await ageMessages(client, "7 days 1 minute");
  expect(await kindsIn(client, "needs_person")).toEqual([]);
});

test("a way that has failed eight times in a row needs a person, until something passes", async () => {
  const { client, ann, another } = await annsBook();
  const id = await another("A");
  for (let i = 1; i <= 8; i++) {
    expect(await kindsIn(client, "needs_person")).toEqual([]);
    await client.query("update bookpost_private.routes set not_before = null");
    await client.query("update bookpost_private.deliveries set due_at = clock_timestamp()");
    await attempt(client, id, "unavailable");
  }
  expect(await kindsIn(client, "needs_person")).toEqual(["channel_in_trouble"]);
  await client.query("update bookpost_private.routes set not_before = null");
  await client.query("update bookpost_private.deliveries set due_at = clock_timestamp()");
  expect(await attempt(client, id)).toBe("sent");
  expect(await kindsIn(client, "needs_person")).toEqual([]);
  expect(await deliveriesTo(client, ann)).toHaveLength(1);
});

test.each([
  ["gone", true],
  ["by_hand", false],
])(
  "an endpoint that is disabled because it is %s: a person is needed is %s",
  async (reason, isNeeded) => {
    const { client, ann } = await annsBook();
    const { id } = await one<{ id: string }>(
      client,
      "select endpoint_id as id from bookpost.add_webhook('https://hooks.example/', $1)",
      [ann],
    );
    await client.query("select bookpost_private.disable_endpoint($1, $2)", [id, reason]);
    expect(await kindsIn(client, "needs_person")).toEqual(isNeeded ? ["webhook_disabled"] : []);
  },
);

test.each([
  ["4 minutes 50 seconds", "", []],
  ["5 minutes 10 seconds", "", ["delivery"]],
  ["5 minutes 10 seconds", "update bookpost_private.channels set is_configured = false", []],
  [
    "5 minutes 10 seconds",
    "insert into bookpost_private.routes (route, not_before) values ('sms', now() + interval '1 minute')",
    [],
  ],
])("a message that has been due for %s (%s) is stuck: %j", async (by, circumstance, kinds) => {
  const { client, another } = await annsBook(true);
  await another("A");
  await client.query("update bookpost_private.deliveries set due_at = now() - $1::interval", [by]);
  if (circumstance) await client.query(circumstance);
  expect(await kindsIn(client, "stuck")).toEqual(kinds);
});

test("a message whose worker died is stuck five minutes after its attempt, and no more when it was sent", async () => {
  const { client, another } = await annsBook(true);
  const id = await another("A");
  await begin(client, id);
  const age = (by: string) =>
    client.query(
      "update bookpost_private.deliveries set due_at = due_at - $1::interval, attempted_at = attempted_at - $1::interval",
      [by],
    );
  await age("4 minutes");
  expect(await kindsIn(client, "stuck")).toEqual([]);
  await age("2 minutes");
  expect(await kindsIn(client, "stuck")).toEqual(["delivery"]);
  expect(await attempt(client, id)).toBe("sent");
  expect(await kindsIn(client, "stuck")).toEqual([]);
});
