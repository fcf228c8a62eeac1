import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { endDelivery } from "../../../../src/sql/endDelivery.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import {
  ageMessages,
  attempt,
  begin,
  bookFor,
  configureChannels,
  deliveryOf,
  makeRecipient,
} from "../../../helpers/recipients.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

const db = testDatabase();

const REPAIR = "bookpost_private.repair_deliveries";

/** So many messages to Ann by email. */
async function messages(client: ClientBase, count: number): Promise<string[]> {
  await configureChannels(client, "email");
  const ann = await makeRecipient(client);
  const ids: string[] = [];
  for (let i = 0; i < count; i++)
    ids.push(...(await (await bookFor(client, ann)).tell("in_transit")).map(({ id }) => id));
  return ids;
}

const repair = async (client: ClientBase) =>
  (await one<{ n: number }>(client, "select bookpost_private.repair_deliveries() as n")).n;

const emptyQueue = (client: ClientBase) =>
  client.query("select graphile_worker.remove_job(key) from graphile_worker.jobs");

async function withJob(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    "select substring(key from 10) as id from graphile_worker.jobs where key like 'delivery:%' and attempts < max_attempts",
  );
  return rows.map(({ id }) => id);
}

/** So long have these messages been due, and begun where they were. */
const overdue = (client: ClientBase, by: string) =>
  client.query(
    `update bookpost_private.deliveries set due_at = due_at - $1::interval, attempted_at = attempted_at - $1::interval`,
    [by],
  );

const fail = (client: ClientBase, id: string) =>
  client.query(
    `select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker.jobs where key = 'delivery:' || $1), 'a bug of ours')`,
    [id],
  );

testRule(
  db,
  "after the queue was emptied, dispatch gives every message that is due a job again: those that wait and those whose worker died",
  async (client) => {
    const [waiting = "", begun = "", done = "", later = ""] = await messages(client, 4);
    await begin(client, begun);
    await attempt(client, done);
    await emptyQueue(client);
    await overdue(client, "61 seconds");
    await client.query(
      "update bookpost_private.deliveries set due_at = clock_timestamp() + interval '1 hour' where id = $1",
      [later],
    );
    await dispatch(client);
    expect((await withJob(client)).toSorted()).toEqual([waiting, begun].toSorted());
    expect(await attempt(client, waiting)).toBe("sent");
    expect(await begin(client, begun)).toMatchObject({ verdict: "send", attempt: 2 });
  },
  {
    "dispatch repairs nothing": {
      function: "bookpost_private.dispatch",
      from: "perform bookpost_private.repair_deliveries();",
      to: "",
    },
    "those begun are left": {
      function: REPAIR,
      from: "where d.state in ('queued', 'sending') and d.due_at <",
      to: "where d.state = 'queued' and d.due_at <",
    },
  },
);

testRule(
  db,
  "one that is being handed over this moment, or was due less than a minute ago, is left to its job",
  async (client) => {
    const [young = "", begun = ""] = await messages(client, 2);
    await emptyQueue(client);
    await client.query(
      "update bookpost_private.deliveries set due_at = due_at - interval '5 minutes' where id = $1",
      [begun],
    );
    await begin(client, begun);
    await emptyQueue(client);
    expect(await repair(client)).toBe(0);
    expect(await deliveryOf(client, young)).toMatchObject({ state: "queued" });
    expect(await endDelivery(client, begun, 1, { outcome: "sent" })).toBe("sent");
  },
  {
    "it gets a second job": {
      function: REPAIR,
      from: "(d.attempted_at is null or d.attempted_at not between clock_timestamp() - interval '1 minute' and clock_timestamp() + interval '5 seconds')",
      to: "true",
    },
  },
);

test("one that has its job keeps it", async () => {
  const client = await rolledBack(db);
  await messages(client, 2);
  await overdue(client, "2 minutes");
  expect(await repair(client)).toBe(0);
});

testRule(
  db,
  "one whose job failed for good is dead with the job's error, and brought back it has a job again",
  async (client) => {
    const [queued = "", begun = ""] = await messages(client, 2);
    await begin(client, begun);
    for (const id of [queued, begun]) await fail(client, id);
    await dispatch(client);
    for (const id of [queued, begun])
      expect(await deliveryOf(client, id)).toMatchObject({
        state: "dead",
        reason: "failed",
        last_error: "a bug of ours",
      });
    await client.query("select bookpost_private.retry_delivery($1)", [queued]);
    expect(await withJob(client)).toEqual([queued]);
    await dispatch(client);
    expect(await attempt(client, queued)).toBe("sent");
  },
  {
    "it waits for ever": {
      function: REPAIR,
      from: "j.attempts >= j.max_attempts and j.locked_at is null",
      to: "false",
    },
  },
);

test("one that was sent by its last attempt stays sent, though its job failed", async () => {
  const client = await rolledBack(db);
  const [id = ""] = await messages(client, 1);
  await attempt(client, id);
  await fail(client, id);
  await repair(client);
  expect(await deliveryOf(client, id)).toMatchObject({ state: "sent" });
});

test("a job under another's key that only looks like a message's breaks nothing", async () => {
  const client = await rolledBack(db);
  await client.query(
    `select graphile_worker.add_job('send_email', job_key => 'delivery:not-an-id', max_attempts => 1)`,
  );
  await client.query(
    "select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker.jobs), 'no')",
  );
  expect(await repair(client)).toBe(0);
});

test("a message in another transaction's hands is left to the next time", async () => {
  const client = await openClient(db.url);
  const [id = ""] = await messages(client, 1);
  await emptyQueue(client);
  await overdue(client, "2 minutes");
  const rival = await openClient(db.url);
  await rival.query("begin");
  await rival.query("select from bookpost_private.deliveries where id = $1 for update", [id]);
  expect(await repair(client)).toBe(0);
  await rival.query("rollback");
  expect(await repair(client)).toBe(1);
  await client.query("delete from bookpost.users");
});

const prune = async (client: ClientBase) =>
  (await one<{ n: number }>(client, "select bookpost_private.prune_deliveries() as n")).n;

for (const [outcome, days] of [
  ["sent", 30],
  ["opted_out", 30],
  ["refused", 90],
] as const)
  testRule(
    db,
    `a message that ended as ${outcome} is kept for ${days} days, and its notification longer`,
    async (client) => {
      const [id = ""] = await messages(client, 1);
      await attempt(client, id, outcome);
      await ageMessages(client, `${days} days -1 minutes`);
      expect(await prune(client)).toBe(0);
      await ageMessages(client, "2 minutes");
      expect(await prune(client)).toBe(1);
      expect((await client.query("select from bookpost_private.delivery_items")).rows).toEqual([]);
      expect((await client.query("select from bookpost.notifications")).rows).toHaveLength(1);
    },
    outcome === "refused"
      ? {
          "dead ones go with the rest": {
            function: "bookpost_private.prune_deliveries",
            from: "interval '90 days'",
            to: "interval '30 days'",
          },
        }
      : {},
  );

test("a message that waits is kept, however old it is", async () => {
  const client = await rolledBack(db);
  const [id = ""] = await messages(client, 1);
  await ageMessages(client, "1 year");
  expect(await prune(client)).toBe(0);
  expect(await attempt(client, id)).toBe("too_old");
});
