import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { beat } from "../../../../src/sql/beat.ts";
import { offerChannels } from "../../../../src/sql/offerChannels.ts";
import { ageBeat } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

/** A worker that has just beaten and offers these. */
async function offer(client: ClientBase, workerId: string, ...channels: ("email" | "sms")[]) {
  await beat(client, { workerId, hostName: "test", processId: 1, apiFingerprints: {} });
  await offerChannels(client, workerId, channels);
}

async function configured(client: ClientBase): Promise<string[]> {
  const sql = "select channel from bookpost_private.channels where is_configured order by channel";
  return (await client.query<{ channel: string }>(sql)).rows.map(({ channel }) => channel);
}

test("webhooks need no means: they are configured before any worker lives", async () => {
  expect(await configured(await rolledBack(db))).toEqual(["webhook"]);
});

test("what any living worker offers is configured, until the last that offered it says otherwise", async () => {
  const client = await rolledBack(db);
  await offer(client, "one", "email");
  expect(await configured(client)).toEqual(["email", "webhook"]);
  await offer(client, "two", "sms");
  expect(await configured(client)).toEqual(["email", "sms", "webhook"]);
  await offer(client, "two", "email");
  expect(await configured(client)).toEqual(["email", "webhook"]);
  await offer(client, "one");
  expect(await configured(client)).toEqual(["email", "webhook"]);
  await offer(client, "two");
  expect(await configured(client)).toEqual(["webhook"]);
});

test("what only a worker that has not beaten for eight seconds offered is configured no more once another speaks", async () => {
  const client = await rolledBack(db);
  await offer(client, "one", "email");
  await ageBeat(client, "one", "9 seconds");
  expect(await configured(client)).toEqual(["email", "webhook"]);
  await offer(client, "two");
  expect(await configured(client)).toEqual(["webhook"]);
});

test("said again it writes nothing", async () => {
  const client = await rolledBack(db);
  await offer(client, "one", "email");
  const written = async () =>
    (
      await client.query(
        "select channel, xmin::text, ctid::text from bookpost_private.channels order by 1",
      )
    ).rows;
  const before = await written();
  await client.query("savepoint again");
  await offerChannels(client, "one", ["email"]);
  expect(await written()).toEqual(before);
});
