import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { beginDelivery } from "../../../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../../../src/sql/endDelivery.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** A database whose workers can send by every channel, and a carrier. */
async function stage() {
  const client = await rolledBack(db);
  await client.query("update bookpost_private.channels set is_configured = true");
  const api = await makeApi(client);
  return {
    client,
    /** Tracks a book of hers; each answer tells one stage more. */
    async tell(owner: string, ...stages: readonly string[]) {
      const { parcelId } = await trackBook(client, api.code, { owner });
      const scans = (stages.length > 0 ? stages : ["in_transit"]).map((stage, i) =>
        scan(ago(10 - i), stage),
      );
      for (let shown = 1; shown <= scans.length; shown++) {
        await lookUp(client, parcelId, (id) => found(id, { events: scans.slice(0, shown) }));
        if (shown === 1 && scans.length > 1) await sendAll(client, owner);
      }
    },
    async add(columns: Readonly<Record<string, string>>) {
      const names = Object.keys(columns);
      const values = names.map((_, i) => `$${i + 1}`);
      const sql = `insert into bookpost.users (${names}) values (${values}) returning id`;
      return (await one<{ id: string }>(client, sql, Object.values(columns))).id;
    },
    async waysOf(owner: string) {
      const sql =
        "select channel from bookpost_private.deliveries where user_id = $1 order by channel";
      return (await client.query<{ channel: string }>(sql, [owner])).rows.map((r) => r.channel);
    },
  };
}

/** Every message of hers that there is has its turn, the oldest first. */
async function sendAll(client: ClientBase, person: string): Promise<void> {
  const { rows } = await client.query<{ id: string }>(
    "select id from bookpost_private.deliveries where user_id = $1 order by created_at, id",
    [person],
  );
  for (const { id } of rows) {
    const order = await beginDelivery(client, id, "worker");
    if (order.verdict === "send") await endDelivery(client, id, order.attempt, { outcome: "sent" });
  }
}

const EMAIL = { email: "ann@example.org" };
const PHONE = { phone_number: "+442079460123", is_sms_wanted: "true" };
const NOW = new Date().toISOString();

test.each([
  ["has an address", EMAIL, ["email"]],
  ["has no address", { name: "Ann" }, []],
  ["does not want email", { ...EMAIL, is_email_wanted: "false" }, []],
  ["has opted out of email", { ...EMAIL, email_opted_out_at: NOW }, []],
  ["has an address that does not exist", { ...EMAIL, email_refused_at: NOW }, []],
  ["has a number that is not verified", PHONE, []],
  ["has a verified number", { ...PHONE, phone_verified_at: NOW }, ["sms"]],
  ["has said STOP", { ...PHONE, phone_verified_at: NOW, sms_opted_out_at: NOW }, []],
])("for one who %s nothing is queued but what she may be sent", async (_, columns, ways) => {
  const { add, tell, waysOf } = await stage();
  const person = await add(columns);
  await tell(person);
  expect(await waysOf(person)).toEqual(ways);
});

test("a stage that was told, left and reached again before anything newer went out is not told again", async () => {
  const { client, add, tell } = await stage();
  const person = await add(EMAIL);
  await tell(person, "in_transit", "exception", "in_transit");
  await client.query(
    "update bookpost_private.deliveries set due_at = now() where state = 'queued'",
  );
  await sendAll(client, person);
  const { rows } = await client.query(
    "select state, reason from bookpost_private.deliveries where user_id = $1 order by created_at, id",
    [person],
  );
  expect(rows).toEqual([
    { state: "sent", reason: null },
    { state: "dropped", reason: "superseded" },
    { state: "dropped", reason: "superseded" },
  ]);
});

test("what is over the cap of the hour is told in one digest", async () => {
  const { client, add, tell } = await stage();
  await client.query(
    "update bookpost_private.channels set cap_per_hour = 2 where channel = 'email'",
  );
  const person = await add(EMAIL);
  for (let i = 0; i < 5; i++) await tell(person);
  await sendAll(client, person);
  const kinds = await client.query(
    `select kind, state, count(*)::integer as n from bookpost_private.deliveries where user_id = $1 group by 1, 2 order by 1, 2`,
    [person],
  );
  expect(kinds.rows).toEqual([
    { kind: "digest", state: "queued", n: 1 },
    { kind: "news", state: "folded", n: 3 },
    { kind: "news", state: "sent", n: 2 },
  ]);
});
