import { beforeEach, expect, test } from "vitest";
import type { Finding } from "../../../src/cli/diagnose.ts";
import { ageCircuit, ageLease, ageParcel } from "../../helpers/ageing.ts";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { databaseUrl } from "../../helpers/databaseUrl.ts";
import { permitFor } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { bookpost } from "./bookpost.ts";

// Each test has a system of its own, so that one's troubles are not another's.
let db: TestDatabase;
beforeEach(async () => {
  db = await createTestDatabase();
  return () => db.drop();
});

async function wrongs(env: Record<string, string> = {}): Promise<Finding[]> {
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
  await db.pool.query("update bookpost_private.workers set beat_at = now() - interval '9 seconds'");
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
