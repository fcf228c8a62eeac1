import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { dispatchNow } from "../helpers/dispatchNow.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import {
  carrierEnvironment,
  startWorkerProcess,
  type WorkerProcess,
} from "../helpers/workerProcess.ts";

let db: TestDatabase;
let sandbox: Sandbox;
let worker: WorkerProcess;

beforeAll(async () => {
  db = await createTestDatabase();
  sandbox = await startSandbox();
  worker = await startWorkerProcess(db, carrierEnvironment(sandbox));
});

afterAll(async () => {
  await worker?.stop();
  await sandbox?.close();
  await db?.drop();
});

const SCENARIO = { steps: [{ stage: "in_transit", at: offsetTime(50) }] } as const;

test("twenty FedEx parcels that are due together share a few requests, and each is counted once", async () => {
  const numbers = Array.from({ length: 20 }, (_, i) => `9999000001${String(i).padStart(2, "0")}`);
  for (const number of numbers) sandbox.script(number, SCENARIO);
  await db.pool.query(
    "select bookpost.track_book('Book ' || n, 'fedex', n) from unnest($1::text[]) n",
    [numbers],
  );
  await dispatchNow(db);

  const requests = sandbox.log.filter(({ api, kind }) => api === "fedex" && kind === "lookup");
  expect(requests.flatMap((request) => request.numbers ?? []).sort()).toEqual(numbers);
  expect(requests.length).toBeLessThan(5);
  const { rows } = await db.pool.query(
    `select (select day_calls from bookpost_private.budgets where api_code = 'fedex') as counted,
       (select count(*)::integer from bookpost_private.carrier_calls where api_code = 'fedex') as ledger,
       (select count(*)::integer from bookpost.parcels where status = 'in_transit') as moved`,
  );
  const seen = sandbox.log.filter(({ api }) => api === "fedex").length;
  expect(rows[0]).toEqual({ counted: seen, ledger: seen, moved: 20 });
  expect((await db.pool.query("select * from bookpost_ops.stuck")).rows).toEqual([]);
});

test("an aggregator that must be told of a parcel is told once, and knows it the next time", async () => {
  const number = "PB999900007GB";
  await db.pool.query(
    "update bookpost.carriers set api_code = 'seventeen_track' where code = 'parcelforce'",
  );
  await db.pool.query("select bookpost.track_book('Emma', 'parcelforce', $1)", [number]);
  await dispatchNow(db);
  sandbox.script(number, SCENARIO);
  await db.pool.query(
    "update bookpost_private.checks set next_check_at = clock_timestamp() where api_code = 'seventeen_track'",
  );
  await dispatchNow(db);

  const kinds = sandbox.log.filter(({ api }) => api === "seventeen_track").map(({ kind }) => kind);
  expect(kinds).toEqual(["lookup", "register", "lookup"]);
  const { rows } = await db.pool.query(
    "select status from bookpost.parcels where tracking_number = $1",
    [number],
  );
  expect(rows).toEqual([{ status: "in_transit" }]);
});
