import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import type { Message } from "../../../../src/notifications/message.ts";
import { beginDelivery } from "../../../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../../../src/sql/endDelivery.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

// A number is proved by a code that was sent to it; the code is known to the message alone.

const db = testDatabase();

const PHONE = "+447400123456";
const OTHER = "+447400123999";

async function setUp() {
  const client = await rolledBack(db);
  await client.query(
    "update bookpost_private.channels set is_configured = true where channel = 'sms'",
  );
  return client;
}

async function addPerson(client: ClientBase, phoneNumber: string | null = PHONE): Promise<string> {
  const sql = "insert into bookpost.users (phone_number) values ($1) returning id";
  return (await one<{ id: string }>(client, sql, [phoneNumber])).id;
}

const REQUEST = "select bookpost.request_phone_verification($1) as id";

async function request(client: ClientBase, person: string): Promise<string> {
  return (await one<{ id: string }>(client, REQUEST, [person])).id;
}

async function begin(client: ClientBase, deliveryId: string): Promise<Message> {
  const order = await beginDelivery(client, deliveryId, "worker");
  if (order.verdict !== "send") throw new Error(`${order.verdict}: ${order.reason}`);
  return order.message as Message;
}

async function codeFor(client: ClientBase, person: string): Promise<string> {
  const { code } = await begin(client, await request(client, person));
  if (code === undefined) throw new Error("there is no code in it");
  return code;
}

async function verify(client: ClientBase, person: string, code: string | null): Promise<boolean> {
  const sql = "select bookpost.verify_phone_number($1, $2) as is_right";
  return (await one<{ is_right: boolean }>(client, sql, [person, code])).is_right;
}

function stateOf(client: ClientBase, person: string) {
  return one<{ is_verified: boolean; is_sms_wanted: boolean }>(
    client,
    "select phone_verified_at is not null as is_verified, is_sms_wanted from bookpost.users where id = $1",
    [person],
  );
}

async function setNumber(client: ClientBase, person: string, phoneNumber: string | null) {
  await client.query("update bookpost.users set phone_number = $2 where id = $1", [
    person,
    phoneNumber,
  ]);
}

/** As if all that was asked for had been so long ago. */
async function ageRequests(client: ClientBase, by: string): Promise<void> {
  await client.query(
    "update bookpost_private.code_requests set requested_at = requested_at - $1::interval",
    [by],
  );
}

const wrong = (code: string) => (code === "000000" ? "000001" : "000000");

test("the code that came by text verifies the number and turns texts on", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  expect(await stateOf(client, person)).toEqual({ is_verified: false, is_sms_wanted: false });
  const message = await begin(client, await request(client, person));
  expect(message).toMatchObject({ kind: "verification", channel: "sms", news: [] });
  expect(message.person?.phoneNumber).toBe(PHONE);
  expect(message.code).toMatch(/^[0-9]{6}$/);
  expect(await verify(client, person, message.code ?? "")).toBe(true);
  expect(await stateOf(client, person)).toEqual({ is_verified: true, is_sms_wanted: true });
});

test("a code may be given with the spaces and hyphens that a phone shows", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const code = await codeFor(client, person);
  expect(await verify(client, person, ` ${code.slice(0, 3)}-${code.slice(3)}\n`)).toBe(true);
});

test("a code is good once", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const code = await codeFor(client, person);
  expect(await verify(client, person, code)).toBe(true);
  expect(await verify(client, person, code)).toBe(false);
});

test.each([null, "", "1", "not a code"])("%j is not the code", async (given) => {
  const client = await setUp();
  const person = await addPerson(client);
  await codeFor(client, person);
  expect(await verify(client, person, given)).toBe(false);
  expect(await stateOf(client, person)).toMatchObject({ is_verified: false });
});

test("another person's code verifies nothing", async () => {
  const client = await setUp();
  const [ann, ben] = [await addPerson(client), await addPerson(client, OTHER)];
  const [hers, his] = [await codeFor(client, ann), await codeFor(client, ben)];
  if (hers === his) return;
  expect(await verify(client, ben, hers)).toBe(false);
});

test("after five wrong guesses the right code is refused as well, until a new one is sent", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const code = await codeFor(client, person);
  for (let guess = 1; guess <= 4; guess++)
    expect(await verify(client, person, wrong(code))).toBe(false);
  await client.query("savepoint four_guesses");
  expect(await verify(client, person, code)).toBe(true);
  await client.query("rollback to savepoint four_guesses");
  expect(await verify(client, person, wrong(code))).toBe(false);
  expect(await verify(client, person, code)).toBe(false);
  expect(await verify(client, person, await codeFor(client, person))).toBe(true);
});

test("a code is good for ten minutes", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const code = await codeFor(client, person);
  const age = (by: string) =>
    client.query(
      "update bookpost_private.phone_verifications set code_ends_at = code_ends_at - $2::interval where user_id = $1",
      [person, by],
    );
  await age("9 minutes 50 seconds");
  await client.query("savepoint nearly");
  expect(await verify(client, person, code)).toBe(true);
  await client.query("rollback to savepoint nearly");
  await age("11 seconds");
  expect(await verify(client, person, code)).toBe(false);
});

test("a new code ends the one before", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const first = await codeFor(client, person);
  const second = await codeFor(client, person);
  if (first !== second) expect(await verify(client, person, first)).toBe(false);
  expect(await verify(client, person, second)).toBe(true);
});

test("a code whose sending was broken off is sent once more, as another", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const id = await request(client, person);
  const { code: first = "" } = await begin(client, id);
  const { code: second = "" } = await begin(client, id);
  if (first !== second) expect(await verify(client, person, first)).toBe(false);
  expect(await verify(client, person, second)).toBe(true);
});

test("a code does not verify a number that was changed since", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const code = await codeFor(client, person);
  await setNumber(client, person, OTHER);
  expect(await verify(client, person, code)).toBe(false);
  expect(await stateOf(client, person)).toEqual({ is_verified: false, is_sms_wanted: false });
});

test("a number cannot be verified by a code that went to another: it is sent to the number it was asked for, or not at all", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const id = await request(client, person);
  // A phone of hers, for the moment at which the code goes out.
  await setNumber(client, person, OTHER);
  expect(await beginDelivery(client, id, "worker")).toMatchObject({
    verdict: "ended",
    reason: "number_changed",
  });
});

test("once a number is verified, changing it ends that", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  await verify(client, person, await codeFor(client, person));
  await setNumber(client, person, OTHER);
  expect(await stateOf(client, person)).toEqual({ is_verified: false, is_sms_wanted: false });
});

test("the plain code is in no table and in no job", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const id = await request(client, person);
  const codes: string[] = [];
  for (let i = 0; i < 3; i++) codes.push((await begin(client, id)).code ?? "");
  const { rows: tables } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname in ('bookpost', 'bookpost_private', '_graphile_worker', '_private_graphile_worker', 'graphile_worker')`,
  );
  expect(tables.length).toBeGreaterThan(20);
  let everything = "";
  for (const { name } of tables) {
    const { rows } = await client.query(`select t::text as line from ${name} t`);
    everything += rows.map(({ line }) => line).join("\n");
  }
  expect(everything).toContain(id);
  expect(everything).toContain(PHONE);
  // By itself: six digits stand by chance in a fraction of a second and in an id.
  const found = codes.filter((code) =>
    new RegExp(`(?<![0-9a-f.])${code}(?![0-9a-f])`).test(everything),
  );
  expect(found).toEqual([]);
});

test.each([
  ["for nobody", "BP404", async () => "00000000-0000-4000-8000-000000000000"],
  ["without a number", "BP400", (client: ClientBase) => addPerson(client, null)],
  [
    "for a number that is verified already",
    "BP409",
    async (client: ClientBase) => {
      const person = await addPerson(client);
      await client.query("update bookpost.users set phone_verified_at = now() where id = $1", [
        person,
      ]);
      return person;
    },
  ],
  [
    "after STOP",
    "BP409",
    async (client: ClientBase) => {
      const person = await addPerson(client);
      await client.query("select bookpost.opt_out($1, 'sms')", [person]);
      return person;
    },
  ],
  [
    "while no worker can send texts",
    "BP409",
    async (client: ClientBase) => {
      await client.query("update bookpost_private.channels set is_configured = false");
      return addPerson(client);
    },
  ],
])("no code is sent %s", async (_, code, person) => {
  const client = await setUp();
  expect(await tryOut(client, REQUEST, [await person(client)])).toMatchObject({ code });
});

test("STOP between the request and its sending is honoured", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const id = await request(client, person);
  await client.query("select bookpost.opt_out($1, 'sms')", [person]);
  expect(await beginDelivery(client, id, "worker")).toMatchObject({ reason: "opted_out" });
});

test("a number that was verified meanwhile is sent no code", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const late = await request(client, person);
  await verify(client, person, await codeFor(client, person));
  expect(await beginDelivery(client, late, "worker")).toMatchObject({ reason: "verified" });
});

test("the provider's word that the phone has answered STOP opts her out, and opting in ends that", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  const id = await request(client, person);
  await begin(client, id);
  expect(await endDelivery(client, id, 1, { outcome: "opted_out", error: "STOP" })).toBe("dropped");
  expect(await tryOut(client, REQUEST, [person])).toMatchObject({ code: "BP409" });
  await client.query("select bookpost.opt_in($1, 'sms')", [person]);
  expect(await tryOut(client, REQUEST, [person])).toBeNull();
});

test.each(["verification", "test"])(
  "STOP from the former phone in answer to a %s does not silence the number she has by now",
  async (kind) => {
    const client = await setUp();
    const person = await addPerson(client);
    await verify(client, person, await codeFor(client, person));
    const sending = async () => {
      const { id } = await one<{ id: string }>(
        client,
        "insert into bookpost_private.deliveries (user_id, channel, kind) values ($1, 'sms', $2) returning id",
        [person, kind],
      );
      await begin(client, id);
      return id;
    };
    const isOut = async () =>
      (
        await one<{ is_out: boolean }>(
          client,
          "select sms_opted_out_at is not null as is_out from bookpost.users where id = $1",
          [person],
        )
      ).is_out;
    if (kind === "verification")
      await client.query("update bookpost.users set phone_verified_at = null where id = $1", [
        person,
      ]);
    const id = await sending();
    await client.query("savepoint on_its_way");
    await endDelivery(client, id, 1, { outcome: "opted_out", error: "STOP" });
    expect(await isOut()).toBe(true);
    await client.query("rollback to savepoint on_its_way");
    await setNumber(client, person, OTHER);
    expect(await endDelivery(client, id, 1, { outcome: "opted_out", error: "STOP" })).toBe(
      "dropped",
    );
    expect(await isOut()).toBe(false);
  },
);

test("a person is sent three codes an hour and ten a day, whatever her number is by then", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  let sent = 0;
  for (let hour = 0; hour < 6; hour++) {
    for (let i = 0; i < 4; i++) {
      await setNumber(client, person, `+4474001${String(hour * 10 + i).padStart(2, "0")}456`);
      if ((await tryOut(client, REQUEST, [person])) !== null) break;
      await request(client, person);
      sent += 1;
    }
    expect(sent).toBe(Math.min(3 * (hour + 1), 10));
    await ageRequests(client, "61 minutes");
  }
  expect(await tryOut(client, REQUEST, [person])).toMatchObject({
    code: "BP409",
    message: expect.stringContaining("3 an hour and 10 a day"),
  });
  await ageRequests(client, "19 hours");
  expect(await tryOut(client, REQUEST, [person])).toBeNull();
});

test("a number is sent ten codes a day, whoever asks, though each gives it back afterwards", async () => {
  const client = await setUp();
  for (let i = 0; i < 10; i++) {
    const person = await addPerson(client);
    await request(client, person);
    if (i % 2 === 0) await setNumber(client, person, null);
    else await client.query("delete from bookpost.users where id = $1", [person]);
  }
  const person = await addPerson(client);
  expect(await tryOut(client, REQUEST, [person])).toMatchObject({ code: "BP409" });
  await setNumber(client, person, OTHER);
  expect(await tryOut(client, REQUEST, [person])).toBeNull();
});

test("a burst over numbers that lie side by side ends after thirty", async () => {
  const client = await setUp();
  for (let i = 0; i < 30; i++)
    await request(client, await addPerson(client, `+447400123${String(i).padStart(3, "0")}`));
  const next = await addPerson(client, "+447400123777");
  expect(await tryOut(client, REQUEST, [next])).toMatchObject({ code: "BP409" });
  const elsewhere = await addPerson(client, "+447400124777");
  expect(await tryOut(client, REQUEST, [elsewhere])).toBeNull();
});

test("a day later nobody knows who asked for which number", async () => {
  const client = await setUp();
  const person = await addPerson(client);
  await request(client, person);
  await ageRequests(client, "25 hours");
  await client.query("select bookpost_private.prune_deliveries()");
  const { rows } = await client.query("select from bookpost_private.code_requests");
  expect(rows).toEqual([]);
});
