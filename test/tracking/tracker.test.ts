import type pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { startSandbox } from "../../src/sandbox/server.ts";
import { beat } from "../../src/sql/beat.ts";
import { createTracker } from "../../src/tracking/tracker.ts";
import { clientOf } from "../carriers/withSandbox.ts";
import { makeDue } from "../helpers/ageing.ts";
import { expectQuiet, testThatAllIsQuiet } from "../helpers/allIsQuiet.ts";
import { one } from "../helpers/one.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { until } from "../helpers/until.ts";

const db = testDatabase();
const never = new AbortController().signal;

/** An API of the sandbox with these limits only, and so many parcels that it knows. UPS needs a token, DHL none. */
async function apiOf(
  api: "ups" | "dhl",
  limits: Readonly<Record<string, number>>,
  count: number,
  pool: pg.Pool = db.pool,
) {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.close());
  const client = clientOf(sandbox, api);
  const workerId = "tracker";
  await beat(db.pool, {
    workerId,
    hostName: "test",
    processId: 1,
    apiFingerprints: { [api]: "sandbox" },
  });
  await db.pool.query("delete from bookpost.carrier_limits where api_code = $1", [api]);
  await db.pool.query(
    `update bookpost.carrier_apis set release_duration = '0', min_check_interval = '0', calls_per_day = null,
       calls_per_parcel_per_day = null where code = $1`,
    [api],
  );
  for (const [window, calls] of Object.entries(limits))
    await db.pool.query("insert into bookpost.carrier_limits values ($1, $2, $3)", [
      api,
      window,
      calls,
    ]);
  const parcelIds: string[] = [];
  for (let i = 0; i < count; i++) {
    const { parcelId, number } = await trackBook(db.pool, api);
    sandbox.script(number, { steps: [{ stage: "in_transit", at: "2026-06-01T10:00:00Z" }] });
    parcelIds.push(parcelId);
  }
  return {
    sandbox,
    parcelIds: parcelIds as [string, string, string],
    tracker: createTracker({ pool, workerId, clients: new Map([[api, client]]) }),
    kinds: () => sandbox.log.map(({ kind }) => kind),
    gaps: () =>
      sandbox.log.slice(1).map(({ monotonic }, i) => monotonic - (sandbox.log[i]?.monotonic ?? 0)),
  };
}

const leases = async () => (await db.pool.query("select from bookpost_private.leases")).rows.length;

test("a token costs a call like any other, and waits for its own", async () => {
  const { tracker, parcelIds, kinds, gaps } = await apiOf("ups", { "1 second": 1 }, 2);
  const ends = await Promise.all(parcelIds.map((id) => tracker.lookUp(id, never)));
  expect(ends.map(({ kind }) => kind)).toEqual(["recorded", "recorded"]);
  expect(kinds()).toEqual(["token", "lookup", "lookup"]);
  // No two in any second: what the limit says, by the carrier's own clock.
  for (const gap of gaps()) expect(gap).toBeGreaterThanOrEqual(1000);
  expect(
    await one(db.pool, "select day_calls from bookpost_private.budgets where api_code = 'ups'"),
  ).toEqual({ day_calls: 3 });
});

test("where the lookup after a token can't be paid for soon, the token is kept for the next one", async () => {
  const { tracker, parcelIds, kinds } = await apiOf("ups", { "50 seconds": 1 }, 1);
  const [parcelId] = parcelIds;
  expect(await tracker.lookUp(parcelId, never)).toMatchObject({
    kind: "recorded",
    outcome: "local",
  });
  expect(kinds()).toEqual(["token"]);
  await db.pool.query(
    "update bookpost_private.call_windows set next_call_at = '-infinity' where api_code = 'ups'",
  );
  await makeDue(db.pool, parcelId);
  expect(await tracker.lookUp(parcelId, never)).toMatchObject({
    kind: "recorded",
    outcome: "updated",
  });
  expect(kinds()).toEqual(["token", "lookup"]);
});

test("a permit is as fresh as the answer that gave it, however long the database was away before", async () => {
  let failures = 4;
  let paid = 0;
  const query = (sql: string, values: unknown[]) => {
    if (sql.includes("pay_call")) paid += 1;
    return sql.includes("acquire_lookups") && failures-- > 0
      ? Promise.reject(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
      : db.pool.query(sql, values);
  };
  // A permit for one call a second has to be used within 80 ms; four pauses take 375 at least.
  const { tracker, parcelIds, kinds } = await apiOf("dhl", { "1 second": 1 }, 1, {
    query,
  } as unknown as pg.Pool);
  expect(await tracker.lookUp(parcelIds[0], never)).toMatchObject({ kind: "recorded" });
  expect(kinds()).toEqual(["lookup"]);
  // One that has grown old is paid for once more.
  expect({ failures, paid }).toEqual({ failures: -1, paid: 0 });
});

test("a permit that waits for its moment is not used when the circuit has opened meanwhile", async () => {
  const { tracker, parcelIds, sandbox, kinds } = await apiOf("dhl", { "3 seconds": 1 }, 3);
  await tracker.lookUp(parcelIds[0], never);
  const waiting = tracker.lookUp(parcelIds[1], never);
  await until("the second has its permit", async () => (await leases()) === 1);
  await db.pool.query("select bookpost_private.force_circuit('dhl', 'open', 'ann', 'test')");
  const asked = sandbox.log.length;
  expect(await waiting).toMatchObject({ kind: "refused", reason: "circuit_open" });
  expect(kinds()).toHaveLength(asked);
  expect(await leases()).toBe(0);
  await db.pool.query("select bookpost_private.force_circuit('dhl', 'reset', 'ann', 'test')");
  await expectQuiet(db.pool);
});

test("a permit that waits when the worker stops goes back", async () => {
  const { tracker, parcelIds, kinds } = await apiOf("dhl", { "3 seconds": 1 }, 2);
  await tracker.lookUp(parcelIds[0], never);
  const asked = kinds().length;
  const stop = new AbortController();
  const waiting = tracker.lookUp(parcelIds[1], stop.signal);
  await until("the second has its permit", async () => (await leases()) === 1);
  stop.abort();
  expect(await waiting).toMatchObject({ kind: "refused", reason: "stopping" });
  expect(kinds()).toHaveLength(asked);
  expect(await leases()).toBe(0);
});

testThatAllIsQuiet(db);
