import { beforeEach, expect, test } from "vitest";
import type { Finding } from "../../../src/cli/diagnose.ts";
import { ageCircuit, ageLease, ageParcel } from "../../helpers/ageing.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { databaseUrl } from "../../helpers/databaseUrl.ts";
import { permitFor } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { makeWorker } from "../../helpers/makeWorker.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { bookpost } from "./bookpost.ts";

// Each test has a system of its own, so that one's troubles are not another's.
let db: TestDatabase;
beforeEach(async () => {
  db = await createTestDatabase();
  return () => db.drop();
});

async function wrongs(env: Record<string, string> = {}): Promise<Finding[]> {
  await keepAlive();
  const { code, stdout, stderr } = await bookpost(["doctor", "--json"], {
    DATABASE_URL: db.url,
    ...env,
  });
  expect(stderr).toBe("");
  const { isWell, findings } = JSON.parse(stdout) as { isWell: boolean; findings: Finding[] };
  const wrong = findings.filter(({ state }) => state === "wrong");
  expect({ code, isWell }).toEqual({ code: wrong.length > 0 ? 1 : 0, isWell: wrong.length === 0 });
  // Each trouble comes with its way out, here or in its own sentence.
  for (const { finding, wayOut } of wrong) expect(wayOut ?? finding).toMatch(/[a-z]{3}/);
  return wrong;
}

/** The command may take seconds to start on a busy machine: workers that live go on living meanwhile. */
async function keepAlive(): Promise<void> {
  await db.pool.query(
    "update bookpost_private.workers set beat_at = now() + interval '1 minute' where beat_at > now() - interval '1 minute'",
  );
}

const names = (findings: readonly Finding[]) => findings.map(({ name }) => name);

test("a system that works is well, and the carriers that are not configured are named", async () => {
  await makeApi(db.pool);
  expect(await wrongs()).toEqual([]);
  const { code, stdout } = await bookpost(["doctor"], { DATABASE_URL: db.url });
  expect(code).toBe(0);
  expect(stdout).toContain("All is well.");
  expect(stdout).toContain("set UPS_CLIENT_ID and UPS_CLIENT_SECRET");
});

test("no living worker is wrong", async () => {
  await makeApi(db.pool);
  await db.pool.query("update bookpost_private.workers set beat_at = now() - interval '2 minutes'");
  expect(await wrongs()).toMatchObject([{ name: "workers", wayOut: "npm start" }]);
});

test("a worker whose clock is wrong is named, with how far", async () => {
  await makeApi(db.pool);
  await db.pool.query("update bookpost_private.workers set clock_ahead = '-90 seconds'");
  const [wrong, ...others] = await wrongs();
  expect(wrong).toMatchObject({ name: "clocks", wayOut: expect.stringContaining("NTP") });
  expect(wrong?.finding).toMatch(/behind the database's/);
  expect(others).toEqual([]);
});

test("a parcel whose API no worker can ask is wrong", async () => {
  await makeApi(db.pool);
  await trackBook(db.pool, "dhl");
  const [wrong, ...others] = await wrongs();
  expect(wrong?.finding).toContain("1 parcel waits for dhl");
  expect(others).toEqual([]);
});

test("a parcel that has been due for long is wrong", async () => {
  const api = await makeApi(db.pool);
  const { parcelId } = await trackBook(db.pool, api.code);
  expect(await wrongs()).toEqual([]);
  await ageParcel(db.pool, parcelId, "11 minutes");
  expect(names(await wrongs())).toEqual(["due"]);
});

test("an open circuit is wrong, one that a person holds is not", async () => {
  const api = await makeApi(db.pool);
  await db.pool.query(
    "select bookpost_private.force_circuit($1, 'open', 'me', 'because', '1 hour')",
    [api.code],
  );
  expect(await wrongs()).toEqual([]);
  await db.pool.query(
    "select bookpost_private.move_circuit($1, 'open', 'three failures', open_for => '30 minutes', cooldown => '30 minutes')",
    [api.code],
  );
  const [wrong] = await wrongs();
  expect(wrong).toMatchObject({ name: "circuits" });
  expect(wrong?.finding).toContain("three failures");
  expect(wrong?.wayOut).toContain(`circuit reset ${api.code}`);
});

test("refused credentials are wrong", async () => {
  const api = await makeApi(db.pool);
  await db.pool.query(
    "update bookpost_private.budgets set parked_at = now(), parked_reason = 'HTTP_401' where api_code = $1",
    [api.code],
  );
  expect(await wrongs()).toMatchObject([{ name: "parked" }]);
});

test("a parcel that was set aside is wrong", async () => {
  const api = await makeApi(db.pool);
  const { parcelId } = await trackBook(db.pool, api.code);
  await db.pool.query(
    "update bookpost_private.checks set next_check_at = null, pause_reason = 'quarantined' where parcel_id = $1",
    [parcelId],
  );
  expect(names(await wrongs())).toEqual(["quarantine"]);
});

test("a lookup and a probe beyond their time are wrong", async () => {
  const api = await makeApi(db.pool);
  const { parcelId } = await trackBook(db.pool, api.code);
  await db.pool.query(
    "select bookpost_private.move_circuit($1, 'open', 'three failures', open_for => '1 second', cooldown => '1 second')",
    [api.code],
  );
  await ageCircuit(db.pool, api.code, "1 minute");
  await permitFor(db.pool, parcelId);
  await ageLease(db.pool, parcelId, "10 minutes");
  await ageCircuit(db.pool, api.code, "10 minutes");
  const wrong = await wrongs();
  expect(names(wrong)).toEqual(["circuits", "stuck", "stuck"]);
});

/** A message of a test, in this state. */
async function message(state: "queued" | "dead", channel: string): Promise<void> {
  await db.pool.query(
    `insert into bookpost_private.deliveries (user_id, channel, kind, state, reason, last_error, ended_at)
     values ($1, $3, 'test', $2, case $2 when 'dead' then 'attempts_spent' end,
       case $2 when 'dead' then 'the mailbox is full' end, case $2 when 'dead' then now() end)`,
    [await makeUser(db.pool), state, channel],
  );
}

test("each channel is told as configured here or not, with the variable, and as what goes out", async () => {
  await makeApi(db.pool);
  await makeWorker(db.pool, "sender");
  await db.pool.query("select bookpost_private.offer_channels('sender', '{email}')");
  await message("queued", "email");
  const { stdout } = await bookpost(["doctor"], {
    DATABASE_URL: db.url,
    SMTP_URL: "smtp://mail.example.org",
    MAIL_FROM: "bookpost@example.org",
  });
  expect(stdout).toMatch(/^well +email +configured here, from bookpost@example.org$/m);
  expect(stdout).toMatch(/^note +sms +not configured here\n +→ set SMS_PROVIDER/m);
  expect(stdout).toMatch(/^well +email +0 messages sent in the last hour, 1 message waits/m);
  expect(stdout).toMatch(/^well +webhook +0 messages sent in the last hour, nothing waits$/m);
  expect(await wrongs()).toEqual([]);
});

test("messages that wait for a channel by which no worker can send are wrong", async () => {
  await makeApi(db.pool);
  await message("queued", "sms");
  const [wrong, ...others] = await wrongs();
  expect(wrong).toMatchObject({ name: "sms", wayOut: expect.stringContaining("SMS_PROVIDER") });
  expect(wrong?.finding).toMatch(/^1 message waits/);
  expect(others).toEqual([]);
});

test("a mail server that fails again and again is wrong, one that is left alone for a moment is not", async () => {
  await makeApi(db.pool);
  await makeWorker(db.pool, "sender");
  await db.pool.query("select bookpost_private.offer_channels('sender', '{email}')");
  await db.pool.query("select bookpost_private.hold_route('email', 'connection refused', 600000)");
  expect(await wrongs()).toEqual([]);
  const { stdout } = await bookpost(["doctor"], { DATABASE_URL: db.url });
  expect(stdout).toMatch(/^note +email +left alone .* until in .*: connection refused$/m);
  for (let failure = 2; failure <= 8; failure++)
    await db.pool.query("select bookpost_private.hold_route('email', 'connection refused', null)");
  const [wrong] = await wrongs();
  expect(wrong?.finding).toMatch(/^email does not get through: 8 failures .*connection refused/);
});

test("dead messages and disabled webhooks are told, with the way back", async () => {
  await makeApi(db.pool);
  await message("dead", "email");
  await message("dead", "email");
  const { rows } = await db.pool.query<{ endpoint_id: string }>(
    "select endpoint_id from bookpost.add_webhook('https://app.example.org/news')",
  );
  const id = rows[0]?.endpoint_id;
  await db.pool.query("select bookpost_private.disable_endpoint($1, 'gone')", [id]);
  expect(await wrongs()).toEqual([]);
  const { stdout } = await bookpost(["doctor"], { DATABASE_URL: db.url });
  expect(stdout).toMatch(/2 messages of the last week could not be sent; .*the mailbox is full/);
  expect(stdout).toContain(`webhook ${id} is disabled: gone`);
  expect(stdout).toContain(`bookpost.enable_webhook('${id}')`);
});

test("a database without our schema, or of another version, is wrong", async () => {
  expect(names(await wrongs({ DATABASE_URL: databaseUrl(db.url, "postgres") }))).toEqual([
    "migrations",
  ]);
  await db.pool.query(
    "update graphile_migrate.migrations set hash = 'sha1:other' where filename = (select max(filename) from graphile_migrate.migrations)",
  );
  const [wrong] = await wrongs();
  expect(wrong?.finding).toMatch(/another version of bookpost \(\d{6}\.sql\)/);
});

test("an environment that cannot be read is wrong, and so is a login that may not do the work", async () => {
  expect(names(await wrongs({ PORT: "many" }))).toEqual(["environment"]);
  const [wrong] = await wrongs({ DATABASE_URL: db.apiUrl });
  expect(wrong).toMatchObject({ name: "roles" });
});
