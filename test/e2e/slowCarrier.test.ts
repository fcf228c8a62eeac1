import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { until } from "../helpers/until.ts";
import {
  carrierEnvironment,
  startWorkerProcess,
  type WorkerProcess,
} from "../helpers/workerProcess.ts";

// A carrier that takes its time, and a real worker process that waits for it.

/** What DHL may have under way at once in this test. */
const IN_FLIGHT = 4;

let db: TestDatabase;
let sandbox: Sandbox;
let worker: WorkerProcess;

/** DHL's requests that wait for their answer. */
const held: ServerResponse[] = [];
const holding = createServer((_, response) => {
  held.push(response);
});

beforeAll(async () => {
  db = await createTestDatabase();
  await db.pool.query("delete from bookpost.carrier_limits");
  await db.pool.query("update bookpost.carrier_apis set calls_per_day = null");
  await db.pool.query("update bookpost.carrier_apis set calls_in_flight = $1 where code = 'dhl'", [
    IN_FLIGHT,
  ]);
  sandbox = await startSandbox();
  await new Promise<void>((listening) => holding.listen(0, "127.0.0.1", listening));
  const { port } = holding.address() as AddressInfo;
  worker = await startWorkerProcess(db, {
    ...carrierEnvironment(sandbox),
    DHL_BASE_URL: `http://127.0.0.1:${port}`,
  });
});

afterAll(async () => {
  answerAll();
  await worker?.stop();
  holding.close();
  await sandbox?.close();
  await db?.drop();
});

/** DHL answers whatever waits: it does not know these numbers. */
function answerAll(): void {
  for (const response of held.splice(0)) response.writeHead(404).end("{}");
}

async function rowsOf(sql: string, values: unknown[] = []) {
  return (await db.pool.query(sql, values)).rows;
}

async function track(carrier: string, number: string): Promise<void> {
  await db.pool.query("select bookpost.track_book($1, $2, $1)", [number, carrier]);
}

async function askToDispatch(): Promise<void> {
  await db.pool.query(
    "select graphile_worker.add_job('dispatch', job_key => 'dispatch_now', max_attempts => 1)",
  );
}

/** How long DHL has held a lookup by the database's clock. */
async function secondsUnderWay(): Promise<number> {
  const [row] = await rowsOf(
    "select extract(epoch from clock_timestamp() - min(started_at))::float8 as seconds from bookpost_private.leases where api_code = 'dhl'",
  );
  return row?.seconds ?? 0;
}

/** Lookups of DHL under way by the database's own account. */
async function leases(): Promise<number> {
  return (await rowsOf("select from bookpost_private.leases where api_code = 'dhl'")).length;
}

test("while a carrier holds its reply, no connection is in a transaction", async () => {
  await track("dhl", "DHL0000001");
  await askToDispatch();
  await until("the request has reached the carrier", async () => held.length === 1);

  // Watched for twice as long as a transaction may last, through the worker's beats, dispatches and polls as well.
  const offences: unknown[] = [];
  await until("it was watched long enough", async () => {
    const rows = await rowsOf(
      `select application_name, state, query, clock_timestamp() - xact_start as age from pg_stat_activity
       where datname = current_database() and clock_timestamp() - xact_start > interval '2 seconds'`,
    );
    offences.push(...rows.slice(0, 1 - offences.length));
    return (await secondsUnderWay()) > 5;
  });
  expect(offences).toEqual([]);
  expect({ held: held.length, leases: await leases() }).toEqual({ held: 1, leases: 1 });

  answerAll();
  await until("the answer is written down", async () => (await leases()) === 0);
});

test("a carrier that answers nobody holds as many requests as it may, and the others' parcels go on", async () => {
  for (let i = 1; i <= 3 * IN_FLIGHT; i++)
    await track("dhl", `DHLSLOW${String(i).padStart(4, "0")}`);
  await askToDispatch();
  await until("it holds all it may", async () => held.length === IN_FLIGHT);

  const numbers = Array.from({ length: 8 }, (_, i) => `ROYALMAIL${i}GB`);
  for (const number of numbers) {
    sandbox.script(number, { steps: [{ stage: "in_transit", at: offsetTime(50) }] });
    await track("royal_mail", number);
  }
  await askToDispatch();
  await until("the others are found", async () => {
    const found = await rowsOf(
      "select from bookpost.parcels where tracking_number = any ($1) and status = 'in_transit'",
      [numbers],
    );
    return found.length === numbers.length;
  });
  expect({ held: held.length, leases: await leases() }).toEqual({
    held: IN_FLIGHT,
    leases: IN_FLIGHT,
  });
});
