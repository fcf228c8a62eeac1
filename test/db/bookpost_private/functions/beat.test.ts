import type { ClientBase } from "pg";
import { expect, onTestFinished, test, vi } from "vitest";
import { beat } from "../../../../src/sql/beat.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeWorker } from "../../../helpers/makeWorker.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

const db = testDatabase();

test("a beat is one row a worker, with the newest time and credentials, and keeps its counts", async () => {
  const client = await rolledBack(db);
  const worker = { workerId: "w1", hostName: "h", processId: 7 };
  await beat(client, { ...worker, apiFingerprints: { ups: "a" } });
  await client.query(
    "update bookpost_private.workers set beat_at = now() - interval '1 hour', stale_results = 3",
  );
  await beat(client, { ...worker, apiFingerprints: { dhl: "b" } });
  expect(
    await one(
      client,
      "select id, host_name, process_id, api_fingerprints, stale_results, beat_at > now() - interval '1 minute' as is_alive from bookpost_private.workers",
    ),
  ).toEqual({
    id: "w1",
    host_name: "h",
    process_id: 7,
    api_fingerprints: { dhl: "b" },
    stale_results: 3,
    is_alive: true,
  });
});

test("parking without a known fingerprint ends with any credentials", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client, {}, { isConfigured: false });
  await client.query(
    "update bookpost_private.budgets set parked_at = now(), parked_reason = 'x' where api_code = $1",
    [api.code],
  );
  await beat(client, {
    workerId: "w1",
    hostName: "h",
    processId: 7,
    apiFingerprints: { [api.code]: "a" },
  });
  expect(
    await one(client, "select parked_at from bookpost_private.budgets where api_code = $1", [
      api.code,
    ]),
  ).toEqual({ parked_at: null });
});

test("a beat writes no budget while nothing is parked", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const xmin = () =>
    one(client, "select xmin::text, ctid::text from bookpost_private.budgets where api_code = $1", [
      api.code,
    ]);
  const before = await xmin();
  await beat(client, {
    workerId: api.workerId,
    hostName: "h",
    processId: 7,
    apiFingerprints: { [api.code]: "another" },
  });
  expect(await xmin()).toEqual(before);
});

const WORKER = { workerId: "w1", hostName: "h", processId: 7, apiFingerprints: {} };
const BEAT = "bookpost_private.beat";

const beatingFor = (client: ClientBase) =>
  one<{ seconds: number }>(
    client,
    `select extract(epoch from clock_timestamp() - beating_since)::double precision as seconds
     from bookpost_private.workers where id = 'w1'`,
  );

testRule(
  db,
  "who beats without a gap keeps the time since when it has beaten",
  async (client) => {
    await makeWorker(client, "w1", { silentFor: "4 seconds", beatingFor: "1 hour" });
    await beat(client, WORKER);
    expect((await beatingFor(client)).seconds).toBeGreaterThan(3_599);
  },
  {
    "every beat begins anew": {
      function: BEAT,
      from: "ELSE w.beating_since",
      to: "ELSE clock_timestamp()",
    },
  },
);

testRule(
  db,
  "who was silent for longer than death takes begins anew, so that it judges nobody at once",
  async (client) => {
    await makeWorker(client, "w1", { silentFor: "7 seconds", beatingFor: "1 hour" });
    await beat(client, WORKER);
    expect((await beatingFor(client)).seconds).toBeLessThan(60);
  },
  {
    "gaps are not looked at": {
      function: BEAT,
      from: "(w.beat_at < (clock_timestamp() - bookpost_private.dead_after())) OR ",
      to: "",
    },
  },
);

testRule(
  db,
  "a beginning that lies in the future, since the clock was set back, is now",
  async (client) => {
    await makeWorker(client, "w1", { silentFor: "-1 hour", beatingFor: "-30 minutes" });
    await beat(client, WORKER);
    const { seconds } = await beatingFor(client);
    expect(seconds).toBeGreaterThanOrEqual(0);
    expect(seconds).toBeLessThan(60);
  },
  {
    "the future is not looked at": {
      function: BEAT,
      from: " OR (w.beating_since > clock_timestamp())",
      to: "",
    },
  },
);

testRule(
  db,
  "how far a worker's clock is ahead is kept from beat to beat: ahead, behind, not known",
  async (client) => {
    for (const [clockAheadMs, stored] of [
      [3_600_250, "01:00:00.25"],
      [-1, "-00:00:00.001"],
      [null, null],
    ] as const) {
      await beat(client, { ...WORKER, clockAheadMs });
      expect(await one(client, "select clock_ahead::text from bookpost_private.workers")).toEqual({
        clock_ahead: stored,
      });
    }
  },
  {
    "only the first is kept": {
      function: BEAT,
      from: "clock_ahead = excluded.clock_ahead",
      to: "clock_ahead = w.clock_ahead",
    },
  },
);

test("a beat answers with the database's clock, whatever this host's shows", async () => {
  const client = await rolledBack(db);
  vi.spyOn(Date, "now").mockReturnValue(0);
  onTestFinished(() => {
    vi.restoreAllMocks();
  });
  const clock = () =>
    one<{ ms: number }>(
      client,
      "select extract(epoch from clock_timestamp())::double precision * 1000 as ms",
    );
  const before = (await clock()).ms;
  const told = await beat(client, WORKER);
  expect(told).toBeGreaterThanOrEqual(before);
  expect(told).toBeLessThanOrEqual((await clock()).ms);
});
