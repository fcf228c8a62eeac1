import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { adapters } from "../../src/carriers/registry.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { upsNumber } from "../helpers/carrierNumbers.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { dispatchNow } from "../helpers/dispatchNow.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { until } from "../helpers/until.ts";
import {
  carrierEnvironment,
  startWorkerProcess,
  type WorkerProcess,
} from "../helpers/workerProcess.ts";

// What the cloud design taught, and what it did wrong, each held to the
// sandbox's own log and the database, with a real worker process.

let db: TestDatabase;
let sandbox: Sandbox;
let worker: WorkerProcess;

beforeAll(async () => {
  db = await createTestDatabase();
  sandbox = await startSandbox();
  // How an API is released after an outage is told in gate.test.ts; here it is only in the way.
  await db.pool.query("update bookpost.carrier_apis set release_duration = '0'");
  worker = await startWorkerProcess(db, carrierEnvironment(sandbox));
});

afterAll(async () => {
  await worker?.stop();
  await sandbox?.close();
  await db?.drop();
});

const SCAN = { at: offsetTime(50), city: "DUNLAP", region: "TN", country: "US" };

async function track(serial: number): Promise<string> {
  const number = upsNumber(serial);
  await db.pool.query("select bookpost.track_book($1, 'ups', $2)", [`Book ${serial}`, number]);
  return number;
}

async function rowsOf(sql: string, values: unknown[] = []) {
  return (await db.pool.query(sql, values)).rows;
}

async function circuit() {
  const [row] = await rowsOf("select * from bookpost.carrier_circuits where api_code = 'ups'");
  return row;
}

function lookupsSeen(): number {
  return sandbox.log.filter(({ api, kind }) => api === "ups" && kind === "lookup").length;
}

/** Everything tracked is due now, as if the time for the next look had come. */
async function makeAllDue(): Promise<void> {
  await db.pool.query(
    "update bookpost_private.checks set next_check_at = clock_timestamp() where next_check_at is not null",
  );
}

async function endCooldown(): Promise<void> {
  await db.pool.query(
    `update bookpost.carrier_circuits
     set opened_at = opened_at - interval '31 minutes', open_until = open_until - interval '31 minutes'
     where state = 'open'`,
  );
}

beforeEach(async () => {
  sandbox.clearFaults();
  await db.pool.query("delete from bookpost.books");
  await db.pool.query(
    "select bookpost_private.force_circuit('ups', 'reset', 'test', 'a new test')",
  );
  await dispatchNow(db);
});

test("errors of the carrier open its circuit: they are no successes with an error inside", async () => {
  sandbox.fault({ mode: "error_inside_200", api: "ups", kind: "lookup", times: 1 });
  sandbox.fault({ mode: "status", status: 503, api: "ups", kind: "lookup", times: 2 });
  for (const serial of [1, 2, 3]) await track(serial);
  await dispatchNow(db);

  expect(await circuit()).toMatchObject({ state: "open", consecutive_failures: 3 });
  const [opening] = await rowsOf(
    "select to_state, cardinality(lookup_ids) as lookups from bookpost_private.circuit_transitions order by id desc limit 1",
  );
  expect(opening).toEqual({ to_state: "open", lookups: 3 });
});

test("an open circuit lets no request out and burns no attempt, however often dispatch runs", async () => {
  sandbox.fault({ mode: "status", status: 500, api: "ups", kind: "lookup" });
  for (const serial of [11, 12, 13, 14, 15]) await track(serial);
  await dispatchNow(db);
  expect(await circuit()).toMatchObject({ state: "open" });
  const seenWhenOpened = lookupsSeen();

  for (let round = 0; round < 3; round++) {
    await makeAllDue();
    await dispatchNow(db);
  }

  expect(lookupsSeen()).toBe(seenWhenOpened);
  expect(
    await rowsOf("select from graphile_worker.jobs where task_identifier = 'track_book'"),
  ).toEqual([]);
  const reasons = await rowsOf(
    "select distinct reason from bookpost_ops.why where carrier_code = 'ups'",
  );
  expect(reasons).toEqual([{ reason: "circuit_open" }]);
});

test("after the cooldown exactly one probe goes out; its success closes the circuit and the others follow", async () => {
  sandbox.fault({ mode: "status", status: 500, api: "ups", kind: "lookup" });
  const numbers = [];
  for (const serial of [21, 22, 23, 24, 25]) numbers.push(await track(serial));
  await dispatchNow(db);
  sandbox.clearFaults();
  for (const number of numbers)
    sandbox.script(number, { steps: [{ stage: "in_transit", ...SCAN }] });
  const seenBefore = lookupsSeen();

  await makeAllDue();
  await endCooldown();
  await dispatchNow(db);
  expect(lookupsSeen()).toBe(seenBefore + 1);
  expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 0 });

  await dispatchNow(db);
  expect(lookupsSeen()).toBe(seenBefore + 5);
  const statuses = await rowsOf(
    "select distinct status from bookpost.parcels where closed_at is null",
  );
  expect(statuses).toEqual([{ status: "in_transit" }]);
});

test("a failed probe opens the circuit again for twice as long", async () => {
  sandbox.fault({ mode: "status", status: 500, api: "ups", kind: "lookup" });
  for (const serial of [31, 32, 33]) await track(serial);
  await dispatchNow(db);
  const seenBefore = lookupsSeen();

  await makeAllDue();
  await endCooldown();
  await dispatchNow(db);

  expect(lookupsSeen()).toBe(seenBefore + 1);
  const [length] = await rowsOf(
    `select state, round(extract(epoch from open_until - changed_at))::integer as seconds
     from bookpost.carrier_circuits where api_code = 'ups'`,
  );
  expect(length).toEqual({ state: "open", seconds: 3600 });
});

test("numbers the carrier does not know and its 429s leave the circuit closed", async () => {
  for (const serial of [41, 42, 43, 44]) await track(serial);
  await dispatchNow(db);
  expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 0 });

  sandbox.fault({
    mode: "status",
    status: 429,
    retryAfter: "120",
    api: "ups",
    kind: "lookup",
    times: 1,
  });
  await makeAllDue();
  await db.pool.query(
    "update bookpost_private.checks set next_check_at = next_check_at + interval '1 day' where parcel_id <> (select min(parcel_id::text)::uuid from bookpost_private.checks where next_check_at is not null)",
  );
  await dispatchNow(db);
  expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 0 });
  const [gate] = await rowsOf(
    "select reason, round(extract(epoch from until - now()))::integer as seconds from bookpost_private.gate('ups')",
  );
  expect(gate?.reason).toBe("not_before");
  expect(gate?.seconds).toBeGreaterThan(90);
  expect(gate?.seconds).toBeLessThanOrEqual(120);
});

test("credentials that are refused park the API at once, without a failure counted and without a second try", async () => {
  sandbox.fault({ mode: "status", status: 403, api: "ups", kind: "lookup" });
  await track(51);
  await dispatchNow(db);
  const seen = lookupsSeen();
  await makeAllDue();
  await dispatchNow(db);

  expect(lookupsSeen()).toBe(seen);
  expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 0 });
  const [why] = await rowsOf("select reason from bookpost_ops.why where carrier_code = 'ups'");
  expect(why).toEqual({ reason: "parked" });
});

test("delivered-at is the carrier's time, not the time we looked, and the owner is told once", async () => {
  const number = await track(61);
  const at = offsetTime(3);
  sandbox.script(number, {
    steps: [
      { stage: "in_transit", ...SCAN },
      { stage: "delivered", ...SCAN, at },
    ],
    shown: 1,
    signedBy: "A READER",
  });
  await dispatchNow(db);
  sandbox.advance(number);
  await makeAllDue();
  await dispatchNow(db);
  await makeAllDue();
  await dispatchNow(db);

  const [parcel] = await rowsOf(
    `select status, signed_by, delivered_at at time zone 'UTC' as utc, delivered_local_time::text as local, delivered_time_zone as zone
     from bookpost.parcels where tracking_number = $1`,
    [number],
  );
  expect(parcel).toMatchObject({
    status: "delivered",
    signed_by: "A READER",
    local: at.slice(0, 19).replace("T", " "),
    zone: "-05:00",
  });
  const told = await rowsOf("select status from bookpost.notifications order by status_version");
  expect(told).toEqual([{ status: "in_transit" }, { status: "delivered" }]);
});

test("two books in one parcel are one job and one call", async () => {
  const number = upsNumber(71);
  sandbox.script(number, { steps: [{ stage: "in_transit", ...SCAN }] });
  const seen = lookupsSeen();
  await db.pool.query(
    "select bookpost.track_book('Volume I', 'ups', $1), bookpost.track_book('Volume II', 'ups', $1)",
    [number],
  );
  await dispatchNow(db);

  expect(lookupsSeen()).toBe(seen + 1);
  const told = await rowsOf(
    "select b.title, n.status from bookpost.notifications n join bookpost.books b on b.id = n.book_id order by b.title",
  );
  expect(told).toEqual([
    { title: "Volume I", status: "in_transit" },
    { title: "Volume II", status: "in_transit" },
  ]);
});

test("no connection is held and no transaction is open while the carrier takes its time", async () => {
  const number = await track(81);
  sandbox.script(number, { steps: [{ stage: "in_transit", ...SCAN }] });
  sandbox.fault({ mode: "slow", ms: 1_500, api: "ups", kind: "lookup", times: 1 });
  const seen = lookupsSeen();
  const done = dispatchNow(db);
  await until("the request has reached the carrier", async () => lookupsSeen() > seen);

  const busy = await rowsOf(
    `select state, query from pg_stat_activity
     where datname = current_database() and application_name like 'bookpost worker%' and xact_start is not null`,
  );
  expect(busy).toEqual([]);
  await done;
  expect(await rowsOf("select * from bookpost_ops.stuck")).toEqual([]);
});

test("two hundred failures at once are counted as two hundred", async () => {
  sandbox.fault({ mode: "status", status: 500, api: "ups", kind: "lookup" });
  await db.pool.query(
    "update bookpost.carrier_apis set failure_threshold = 1000, calls_in_flight = 300 where code = 'ups'",
  );
  await db.pool.query(
    "select bookpost.track_book('Book ' || n, 'ups', 'TESTNUMBER' || n) from generate_series(1, 200) n",
  );
  await dispatchNow(db);
  expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 200 });
  await db.pool.query(
    "update bookpost.carrier_apis set failure_threshold = 3, calls_in_flight = 10 where code = 'ups'",
  );
});

test("what the carrier said stays: scans it has forgotten are still told", async () => {
  const number = await track(91);
  const early = { stage: "pre_transit", ...SCAN, at: offsetTime(70) } as const;
  const late = { stage: "in_transit", ...SCAN } as const;
  sandbox.script(number, { steps: [early], shown: 1 });
  await dispatchNow(db);
  sandbox.script(number, { steps: [late], shown: 1 });
  await makeAllDue();
  await dispatchNow(db);
  const kept = await rowsOf(
    "select e.status from bookpost.tracking_events e join bookpost.parcels p on p.id = e.parcel_id where p.tracking_number = $1 order by e.sort_at",
    [number],
  );
  expect(kept).toEqual([{ status: "pre_transit" }, { status: "in_transit" }]);
});

test("every adapter that is written is registered, and has its row, its circuit and its budget", async () => {
  const folder = join(import.meta.dirname, "../../src/carriers");
  const written: string[] = [];
  for (const name of await readdir(folder)) {
    const exported: Record<string, unknown> = await import(join(folder, name));
    for (const value of Object.values(exported))
      if (typeof value === "object" && value !== null && "parse" in value && "request" in value)
        written.push(String((value as { code?: unknown }).code));
  }
  expect(written.length).toBeGreaterThan(0);
  expect(adapters.map(({ code }) => code).sort()).toEqual(written.sort());
  for (const table of [
    "bookpost.carrier_apis",
    "bookpost.carrier_circuits",
    "bookpost_private.budgets",
  ]) {
    const column = table === "bookpost.carrier_apis" ? "code" : "api_code";
    const rows = await rowsOf(`select ${column} as code from ${table} order by 1`);
    expect(rows.map(({ code }) => code)).toEqual([...written].sort());
  }
});
