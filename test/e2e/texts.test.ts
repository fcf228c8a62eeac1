import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { makeDue } from "../helpers/ageing.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { dispatchNow } from "../helpers/dispatchNow.ts";
import { one } from "../helpers/one.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { until } from "../helpers/until.ts";
import {
  carrierEnvironment,
  startWorkerProcess,
  type WorkerProcess,
} from "../helpers/workerProcess.ts";

// A real worker process, real lookups, and a stand-in that speaks Twilio's format: from the request for a code to STOP.

const PHONE = "+447400123456";

let db: TestDatabase;
let sandbox: Sandbox;
let worker: WorkerProcess;

beforeAll(async () => {
  db = await createTestDatabase();
  sandbox = await startSandbox();
  worker = await startWorkerProcess(db, {
    ...carrierEnvironment(sandbox),
    ...sandbox.textEnvironment("twilio"),
    SMS_COUNTRIES: "GB",
  });
  await until("texts can be sent", async () => {
    const sql = "select is_configured from bookpost_private.channels where channel = 'sms'";
    return (await one<{ is_configured: boolean }>(db.pool, sql)).is_configured;
  });
});

afterAll(async () => {
  await worker?.stop();
  await sandbox?.close();
  await db?.drop();
});

async function addPerson(phoneNumber: string): Promise<string> {
  const sql = "insert into bookpost.users (phone_number) values ($1) returning id";
  return (await one<{ id: string }>(db.pool, sql, [phoneNumber])).id;
}

async function request(person: string): Promise<string> {
  const sql = "select bookpost.request_phone_verification($1) as id";
  return (await one<{ id: string }>(db.pool, sql, [person])).id;
}

/** Texts that reached the stand-in for this phone. */
const textsTo = (phone: string) => sandbox.texts.filter(({ to }) => to === phone);

function ended(deliveryId: string) {
  return until("the message has come to its end", async () => {
    const { rows } = await db.pool.query<{
      state: string;
      reason: string | null;
      last_error: string;
    }>(
      "select state, reason, last_error from bookpost_private.deliveries where id = $1 and ended_at is not null",
      [deliveryId],
    );
    return rows[0];
  });
}

async function verify(person: string, phone: string): Promise<void> {
  const count = textsTo(phone).length;
  await request(person);
  const text = await until("the code has come", async () => textsTo(phone)[count]);
  const [code] = /\b\d{6}\b/.exec(text.body) ?? [];
  const sql = "select bookpost.verify_phone_number($1, $2) as is_right";
  expect(await one(db.pool, sql, [person, code])).toEqual({ is_right: true });
  expect(worker.output()).not.toContain(code);
}

function minutesAgo(minutes: number): string {
  return `${new Date(Date.now() - minutes * 60_000).toISOString().slice(0, 19)}Z`;
}

/** A book of hers with a carrier that has all of its story ready, one scan at a time. */
async function trackFor(person: string, number: string) {
  sandbox.script(number, {
    steps: [
      { stage: "in_transit", at: minutesAgo(50) },
      { stage: "out_for_delivery", at: minutesAgo(40) },
      { stage: "delivered", at: minutesAgo(30) },
    ],
  });
  const book = await trackBook(db.pool, "royal_mail", { owner: person, number, title: "Emma" });
  await dispatchNow(db);
  return {
    async advance() {
      sandbox.advance(number);
      await makeDue(db.pool, book.parcelId);
      await dispatchNow(db);
    },
    /** Waits until the app shows that many notifications of it. */
    told: (count: number) =>
      until(`the app tells of ${count} stages`, async () => {
        const sql = "select from bookpost.notifications where parcel_id = $1";
        return (await db.pool.query(sql, [book.parcelId])).rows.length === count;
      }),
  };
}

async function smsDeliveriesOf(person: string) {
  const sql =
    "select kind, state, reason from bookpost_private.deliveries where user_id = $1 and channel = 'sms' order by created_at";
  return (await db.pool.query(sql, [person])).rows;
}

test("a number is verified by text, then news come by text, and STOP ends them at once", async () => {
  const person = await addPerson(PHONE);
  await verify(person, PHONE);

  const book = await trackFor(person, "AA000000001GB");
  const news = await until("the news have come", async () => textsTo(PHONE)[1]);
  expect(news.body).toContain("Emma");

  sandbox.stop(PHONE);
  await book.advance();
  await until("the answer to STOP has come back", async () => {
    const sql = "select sms_opted_out_at is not null as is_out from bookpost.users where id = $1";
    return (await one<{ is_out: boolean }>(db.pool, sql, [person])).is_out;
  });
  const asked = sandbox.log.filter(({ api }) => api === "twilio").length;

  await book.advance();
  await book.told(3);
  // Not even queued, in the same commit.
  expect(await smsDeliveriesOf(person)).toEqual([
    { kind: "verification", state: "sent", reason: null },
    { kind: "news", state: "sent", reason: null },
    { kind: "news", state: "dropped", reason: "opted_out" },
  ]);
  expect(sandbox.log.filter(({ api }) => api === "twilio")).toHaveLength(asked);
  expect(textsTo(PHONE)).toHaveLength(2);
});

test("who opts out between queue and send is sent nothing", async () => {
  const phone = "+447400123457";
  const person = await addPerson(phone);
  await verify(person, phone);
  const { id } = await one<{ id: string }>(
    db.pool,
    `with queued as (
       insert into bookpost_private.deliveries (user_id, channel, kind) values ($1, 'sms', 'test') returning id
     )
     select id from queued`,
    [person],
  );
  await db.pool.query("select bookpost.opt_out($1, 'sms')", [person]);
  await db.pool.query("select bookpost_private.add_delivery_jobs(array[$1::uuid])", [id]);
  expect(await ended(id)).toMatchObject({ state: "dropped", reason: "opted_out" });
  expect(textsTo(phone)).toHaveLength(1);
});

test.each([
  ["a premium-rate number", "+449061234567", "not one of a mobile phone"],
  ["a country that is not listed", "+18762101234", "SMS_COUNTRIES"],
  ["a satellite phone", "+870773111632", "no country"],
])("%s is sent no code: nobody is asked, and a person sees why", async (_, phone, why) => {
  const end = await ended(await request(await addPerson(phone)));
  expect(end).toMatchObject({
    state: "dead",
    reason: "refused",
    last_error: expect.stringContaining(why),
  });
  expect(sandbox.log.filter(({ number }) => number === phone)).toEqual([]);
});

test("texts that the provider does not take for a while arrive once it does", async () => {
  const phone = "+447400123458";
  const person = await addPerson(phone);
  sandbox.fault({ api: "twilio", number: phone, mode: "status", status: 503, times: 1 });
  const id = await request(person);
  expect(await ended(id)).toMatchObject({ state: "sent" });
  expect(textsTo(phone)).toHaveLength(1);
});

test("the worker's log shows neither a phone number nor the provider's token", async () => {
  const output = worker.output();
  expect(output).toContain("sent by sms");
  const secrets = [
    ...sandbox.log.flatMap(({ api, number }) =>
      api === "twilio" && number ? [number.slice(1)] : [],
    ),
    sandbox.credentials("twilio").AUTH_TOKEN ?? "",
  ];
  expect(secrets.length).toBeGreaterThan(3);
  for (const secret of secrets) expect(output).not.toContain(secret);
});
