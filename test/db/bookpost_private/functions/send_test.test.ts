import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import {
  attempt,
  type Channel,
  configureChannels,
  deliveriesTo,
  deliveryOf,
  makeRecipient,
} from "../../../helpers/recipients.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const SEND = "select bookpost_private.send_test($1) as id";

test.each<[readonly Channel[], readonly string[]]>([
  [[], ["webhook"]],
  [["email"], ["email", "webhook"]],
  [
    ["email", "sms"],
    ["email", "sms", "webhook"],
  ],
])("with %j configured a test goes by %j, with a job for each", async (configured, ways) => {
  const client = await rolledBack(db);
  await configureChannels(client, ...configured);
  const [ann, ben] = [await makeRecipient(client), await makeRecipient(client)];
  for (const person of [ann, ben])
    await client.query("select bookpost.add_webhook('https://hooks.example/', $1)", [person]);
  const { rows } = await client.query<{ id: string }>(SEND, [ann]);
  const deliveries = await deliveriesTo(client, ann);
  expect(deliveries.map(({ id }) => id).toSorted()).toEqual(rows.map(({ id }) => id).toSorted());
  expect(deliveries.map(({ channel }) => channel).toSorted()).toEqual(ways);
  expect(
    (await client.query("select from graphile_worker.jobs where key like 'delivery:%'")).rows,
  ).toHaveLength(ways.length);
  for (const { id, kind } of deliveries) {
    expect(kind).toBe("test");
    expect(await attempt(client, id)).toBe("sent");
  }
  expect(await deliveriesTo(client, ben)).toEqual([]);
});

test("a test to someone who is not reached says why: it is dropped with the reason", async () => {
  const client = await rolledBack(db);
  await configureChannels(client, "email");
  const ann = await makeRecipient(client);
  await client.query("select bookpost.opt_out($1, 'email')", [ann]);
  const { id } = await one<{ id: string }>(client, SEND, [ann]);
  expect(await attempt(client, id)).toBe("opted_out");
  expect(await deliveryOf(client, id)).toMatchObject({ state: "dropped", reason: "opted_out" });
});

test("where there is no way at all, nothing is queued", async () => {
  const client = await rolledBack(db);
  await configureChannels(client);
  expect((await client.query(SEND, [await makeRecipient(client)])).rows).toEqual([]);
});

test("there is no test for nobody", async () => {
  const client = await rolledBack(db);
  const nobody = "00000000-0000-4000-8000-000000000000";
  expect(await tryOut(client, SEND, [nobody])).toMatchObject({ code: "BP404" });
});
