import type { ClientBase } from "pg";
import { expect } from "vitest";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import {
  ageMessages,
  bookFor,
  type Channel,
  configureChannels,
  deliveriesTo,
  makeRecipient,
} from "../../../helpers/recipients.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

const db = testDatabase();

const QUEUE = "bookpost_private.queue_deliveries";
const REACHED = "bookpost_private.why_not_reached(u, c.channel) is null";

async function addWebhook(client: ClientBase, person: string | null): Promise<string> {
  const sql = "select endpoint_id as id from bookpost.add_webhook('https://hooks.example/', $1)";
  return (await one<{ id: string }>(client, sql, [person])).id;
}

const channelsOf = (rows: readonly { channel: Channel }[]) => rows.map(({ channel }) => channel);

const WAYS: readonly (readonly Channel[])[] = [[], ["email"], ["sms"], ["email", "sms"]];
for (const channels of WAYS)
  testRule(
    db,
    `where workers can send by ${channels.join(" and ") || "nothing"}, that is what news goes by`,
    async (client) => {
      await configureChannels(client, ...channels);
      const book = await bookFor(client, await makeRecipient(client));
      const queued = await book.tell("in_transit");
      expect(channelsOf(queued)).toEqual(channels);
      for (const { kind, state } of queued)
        expect({ kind, state }).toEqual({ kind: "news", state: "queued" });
    },
    channels.length === 1
      ? {
          "what nobody can send is queued": {
            function: QUEUE,
            from: "c.is_configured and ",
            to: "",
          },
        }
      : {},
  );

const REFUSALS: readonly (readonly [Channel, string, string])[] = [
  ["email", "email = null", "no_address"],
  ["email", "email_opted_out_at = now()", "opted_out"],
  ["email", "is_email_wanted = false", "not_wanted"],
  ["email", "email_refused_at = now()", "address_refused"],
  ["sms", "phone_number = null, phone_verified_at = null", "no_address"],
  ["sms", "sms_opted_out_at = now()", "opted_out"],
  ["sms", "phone_verified_at = null", "not_verified"],
  ["sms", "is_sms_wanted = false", "not_wanted"],
];
for (const [channel, change, reason] of REFUSALS)
  testRule(
    db,
    `no ${channel} is queued with ${change}, because of ${reason}; the other channel goes on`,
    async (client) => {
      await configureChannels(client, "email", "sms");
      const ann = await makeRecipient(client);
      await client.query(`update bookpost.users set ${change} where id = $1`, [ann]);
      const book = await bookFor(client, ann);
      expect(channelsOf(await book.tell("in_transit"))).toEqual([
        channel === "email" ? "sms" : "email",
      ]);
      const why =
        "select bookpost_private.why_not_reached(u, $2) as why from bookpost.users u where id = $1";
      expect(await one(client, why, [ann, channel])).toEqual({ why: reason });
    },
    { "nobody asks": { function: QUEUE, from: REACHED, to: "true" } },
  );

testRule(
  db,
  "someone who has said nothing of it is told by email, and by text only once her number is verified",
  async (client) => {
    await configureChannels(client, "email", "sms");
    const ann = await makeUser(client);
    await client.query(
      "update bookpost.users set email = 'a@example.org', phone_number = '+447400123456' where id = $1",
      [ann],
    );
    expect(channelsOf(await (await bookFor(client, ann)).tell("in_transit"))).toEqual(["email"]);
  },
);

testRule(
  db,
  "several books in one parcel are one message to each of their owners, and one notification each",
  async (client) => {
    await configureChannels(client, "email");
    const [ann, ben] = [await makeRecipient(client), await makeRecipient(client)];
    const book = await bookFor(client, ann, { title: "One" });
    await bookFor(client, ann, { ...book, title: "Two" });
    await bookFor(client, ben, { ...book, title: "His" });
    expect(await book.tell("in_transit")).toHaveLength(2);
    const { rows } = await client.query(
      `select d.user_id, count(*)::integer as books from bookpost_private.deliveries d
       join bookpost_private.delivery_items i on i.delivery_id = d.id group by d.id`,
    );
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual({ user_id: ann, books: 2 });
    expect(rows).toContainEqual({ user_id: ben, books: 1 });
  },
  {
    "each book is a message": {
      function: QUEUE,
      from: "group by w.user_id, w.parcel_id, w.channel, w.endpoint_id",
      to: "group by w.user_id, w.parcel_id, w.channel, w.endpoint_id, w.notification_id",
    },
  },
);

testRule(
  db,
  "her own endpoints and those for everyone hear of it, another's and disabled ones do not",
  async (client) => {
    const [ann, ben] = [await makeRecipient(client), await makeRecipient(client)];
    const heard = [
      await addWebhook(client, ann),
      await addWebhook(client, ann),
      await addWebhook(client, null),
    ];
    await addWebhook(client, ben);
    await client.query("select bookpost.disable_webhook($1)", [await addWebhook(client, ann)]);
    const queued = await (await bookFor(client, ann)).tell("in_transit");
    expect(queued.map((d) => d.endpoint_id).toSorted()).toEqual(heard.toSorted());
  },
  {
    "disabled ones do": { function: QUEUE, from: "e.disabled_at is null\n", to: "true\n" },
    "everyone's does not": {
      function: QUEUE,
      from: "where e.user_id = n.user_id or e.user_id is null",
      to: "where e.user_id = n.user_id",
    },
  },
);

testRule(db, "a message has one job, of its channel, at its due time", async (client) => {
  await configureChannels(client, "email", "sms");
  const ann = await makeRecipient(client);
  await addWebhook(client, ann);
  const queued = await (await bookFor(client, ann)).tell("in_transit");
  const { rows } = await client.query(
    `select j.task_identifier as task, j.run_at = d.due_at as is_on_time
       from graphile_worker.jobs j join bookpost_private.deliveries d on j.key = 'delivery:' || d.id order by 1`,
  );
  expect(queued).toHaveLength(3);
  expect(rows).toEqual([
    { task: "send_email", is_on_time: true },
    { task: "send_sms", is_on_time: true },
    { task: "send_webhook", is_on_time: true },
  ]);
});

testRule(db, "a stage, its messages and their jobs stand or fall together", async (client) => {
  await configureChannels(client, "email");
  const ann = await makeRecipient(client);
  const book = await bookFor(client, ann);
  await client.query("savepoint before");
  expect(await book.tell("in_transit")).toHaveLength(1);
  await client.query("rollback to savepoint before");
  expect(await deliveriesTo(client, ann)).toEqual([]);
  const jobs = "select from graphile_worker.jobs where key like 'delivery:%'";
  expect((await client.query(jobs)).rows).toEqual([]);
  expect(await book.tell("in_transit")).toHaveLength(1);
});

testRule(
  db,
  "a stage reached again within half an hour waits for the end of that half hour, by email and text but not by webhook",
  async (client) => {
    await configureChannels(client, "email", "sms");
    const ann = await makeRecipient(client);
    await addWebhook(client, ann);
    const book = await bookFor(client, ann);
    await book.tell("in_transit");
    await ageMessages(client, "10 minutes");
    await book.tell("exception");
    const again = await book.tell("in_transit");
    for (const { channel, wait } of again) {
      const least = channel === "webhook" ? -60 : 19 * 60;
      expect(wait).toBeGreaterThan(least);
      expect(wait).toBeLessThanOrEqual(least + 60);
    }
    expect(again).toHaveLength(3);
  },
  {
    "nothing is damped": {
      function: QUEUE,
      from: "greatest(clock_timestamp(), m.damped_until)",
      to: "clock_timestamp()",
    },
  },
);

testRule(
  db,
  "a stage reached again after half an hour, and another stage at any time, wait for nothing",
  async (client) => {
    await configureChannels(client, "email");
    const book = await bookFor(client, await makeRecipient(client));
    await book.tell("in_transit");
    await ageMessages(client, "31 minutes");
    expect((await book.tell("exception"))[0]?.wait).toBeLessThanOrEqual(0);
    expect((await book.tell("in_transit"))[0]?.wait).toBeLessThanOrEqual(0);
  },
  {
    "only the stage before counts": {
      function: QUEUE,
      from: "and o.kind = n.kind and o.status = n.status",
      to: "and o.kind = n.kind",
    },
  },
);

testRule(
  db,
  "a call for action repeated within half an hour waits for the end of that half hour",
  async (client) => {
    await configureChannels(client, "email");
    const book = await bookFor(client, await makeRecipient(client));
    await book.tell("in_transit");
    const called = { is_action_required: true, description: "Pay" };
    expect((await book.tell("in_transit", called))[0]?.wait).toBeLessThanOrEqual(0);
    await book.tell("in_transit");
    const [again] = await book.tell("in_transit", called);
    expect(again?.wait).toBeGreaterThan(28 * 60);
  },
  {
    "a stage alone is damped": {
      function: QUEUE,
      from: "n.kind in ('stage', 'action_required')",
      to: "n.kind = 'stage'",
    },
  },
);
