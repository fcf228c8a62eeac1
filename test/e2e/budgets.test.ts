import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LogEntry } from "../../src/sandbox/requestLog.ts";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import {
  callsDuringHold,
  callsOverDay,
  callsOverInFlight,
  callsOverWindow,
  holdsOf,
  useOfWindow,
  type WindowLimit,
} from "../helpers/judgeCalls.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { until } from "../helpers/until.ts";
import {
  carrierEnvironment,
  startWorkerProcess,
  type WorkerProcess,
} from "../helpers/workerProcess.ts";

// Four worker processes whose clocks disagree share the carriers' allowances.
// What they did is judged by the carriers' own log. The tests run side by side,
// each with an API of its own.

const HOUR_MS = 3_600_000;
const CLOCK_SHIFTS_MS = [HOUR_MS, -HOUR_MS, 24 * HOUR_MS, 0];

let db: TestDatabase;
let sandbox: Sandbox;
let workers: WorkerProcess[];
/** By the database's clock. */
let startedAt: Date;

beforeAll(async () => {
  db = await createTestDatabase();
  startedAt = (await db.pool.query("select clock_timestamp() as now")).rows[0].now;
  sandbox = await startSandbox();
  workers = await Promise.all(
    CLOCK_SHIFTS_MS.map((clockShiftMs) =>
      startWorkerProcess(db, carrierEnvironment(sandbox), { clockShiftMs }),
    ),
  );
});

afterAll(async () => {
  await Promise.all((workers ?? []).map((worker) => worker.stop()));
  await sandbox?.close();
  await db?.drop();
});

interface Limits {
  readonly window?: WindowLimit;
  readonly callsPerDay?: number;
  /** Where the API's day begins; a Postgres time zone. */
  readonly dayTimeZone?: string;
}

const CALLS_IN_FLIGHT = 10;

/** What an API allows, and nothing else, as the database has it. */
async function setLimits(api: string, { window, callsPerDay, dayTimeZone }: Limits): Promise<void> {
  await db.pool.query(
    `update bookpost.carrier_apis set
       calls_per_day = $2, day_time_zone = $3, calls_in_flight = $4, min_check_interval = '0'
     where code = $1`,
    [api, callsPerDay ?? null, dayTimeZone ?? "UTC", CALLS_IN_FLIGHT],
  );
  await db.pool.query("delete from bookpost.carrier_limits where api_code = $1", [api]);
  if (window !== undefined)
    await db.pool.query(
      `insert into bookpost.carrier_limits (api_code, call_window, calls)
       values ($1, $2 * interval '1 millisecond', $3)`,
      [api, window.windowMs, window.calls],
    );
}

let tracked = 0;

/** So many new parcels, due at once, that the carrier knows. */
async function track(carrier: string, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, () => `BUDGET${++tracked}`);
  for (const number of numbers)
    sandbox.script(number, { steps: [{ stage: "in_transit", at: offsetTime(50) }] });
  await db.pool.query("select bookpost.track_book('Book ' || n, $1, n) from unnest($2::text[]) n", [
    carrier,
    numbers,
  ]);
}

/** Queues the next minute's jobs where an API may be asked and something due is neither queued nor under way. */
async function dispatchWhatMayGo(api: string): Promise<void> {
  const { rows } = await db.pool.query(
    `select from bookpost_private.gate($1) g
     where g.allowance > 0 and exists (
       select from bookpost_private.checks c
       where c.api_code = $1 and c.next_check_at <= clock_timestamp()
         and not exists (select from graphile_worker.jobs j where j.key = 'parcel:' || c.parcel_id)
         and not exists (select from bookpost_private.leases l where l.parcel_id = c.parcel_id)
     )`,
    [api],
  );
  if (rows.length > 0) await db.pool.query("select from bookpost_private.dispatch()");
}

/**
 * Waits for a fact while it sees to it that whatever may go is queued, or for
 * the first call over a limit: then there is nothing more to wait for. The
 * deadline only ends a hang.
 */
async function untilWhileDispatching(
  api: string,
  what: string,
  probe: () => boolean | Promise<boolean>,
): Promise<void> {
  await until(
    what,
    async () => {
      await dispatchWhatMayGo(api);
      return callsOf(api).some(({ over }) => over !== null) || probe();
    },
    50_000,
  );
}

/** All that is queued may run at once, as after a while in which no worker ran. */
async function hurry(api: string): Promise<void> {
  await db.pool.query(
    `select graphile_worker.reschedule_jobs(array(
       select j.id from graphile_worker.jobs j
       join bookpost_private.checks c on j.key = 'parcel:' || c.parcel_id
       where c.api_code = $1 and j.locked_at is null and j.run_at > now()
     ), run_at => now())`,
    [api],
  );
}

/** All requests of an API, as the carrier saw them. */
function callsOf(api: string): LogEntry[] {
  return sandbox.log.filter((entry) => entry.api === api);
}

async function countRows(sql: string, ...values: unknown[]): Promise<number> {
  const { rows } = await db.pool.query<{ count: number }>(
    `select count(*)::integer from ${sql}`,
    values,
  );
  return rows[0]?.count ?? 0;
}

/** The zone, to the second, in which a day begins at this instant. */
function zoneWithMidnightAt(instant: Date): string {
  const secondsEast = 24 * 3_600 - ((instant.getTime() / 1_000) % (24 * 3_600));
  // A POSIX zone counts westward.
  return `<T>-${new Date(secondsEast * 1_000).toISOString().slice(11, 19)}`;
}

describe.concurrent("four workers whose clocks disagree", () => {
  test("keep to a window, token requests included, and use nine tenths of it", async () => {
    const api = "ups";
    const window = { calls: 60, windowMs: 20_000 };
    await setLimits(api, { window });
    sandbox.limit({ api, ...window });
    sandbox.limit({ api, inFlight: CALLS_IN_FLIGHT });
    await track(api, 300);

    // Two whole windows from the first call on.
    const measured = () => {
      const from = callsOf(api)[0]?.monotonic ?? Infinity;
      return { from, until: from + 2 * window.windowMs };
    };
    await untilWhileDispatching(
      api,
      "it has been asked for two windows",
      () => (callsOf(api).at(-1)?.monotonic ?? 0) > measured().until,
    );

    const calls = callsOf(api);
    expect(callsOverWindow(calls, window)).toEqual([]);
    expect(callsOverInFlight(calls, CALLS_IN_FLIGHT)).toEqual([]);
    expect(calls.filter(({ over }) => over !== null)).toEqual([]);
    expect(useOfWindow(calls, window, measured())).toBeGreaterThanOrEqual(0.9);
    // There was demand to the end, and nobody stood aside.
    expect(
      await countRows(
        "bookpost_private.checks where api_code = $1 and next_check_at <= now()",
        api,
      ),
    ).toBeGreaterThan(0);
    expect(
      await countRows(
        "(select distinct worker_id from bookpost_private.lookups where api_code = $1) w",
        api,
      ),
    ).toBe(workers.length);
    expect(calls.filter(({ kind }) => kind === "token").length).toBeGreaterThanOrEqual(
      workers.length,
    );
  }, 60_000);

  test("use a day's calls to the last one and none more, before its reset and after", async () => {
    const api = "royal_mail";
    const callsPerDay = 40;
    // Long enough from now to use the day up, a whole second.
    const midnight = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 18_000);
    await setLimits(api, { callsPerDay, dayTimeZone: zoneWithMidnightAt(midnight) });
    // The carrier's clock is behind: its day ends later than ours.
    const resetsAt = new Date(midnight.getTime() + 3_000);
    sandbox.limit({ api, calls: callsPerDay, resetsAt: resetsAt.toISOString() });
    sandbox.limit({ api, inFlight: CALLS_IN_FLIGHT });
    // Answers take their time, so that many are under way at once.
    sandbox.fault({ mode: "slow", ms: 100, api });
    await track(api, 3 * callsPerDay);

    await untilWhileDispatching(
      api,
      "the new day has seen calls and allows no more for now",
      async () =>
        callsOf(api).some(({ at }) => at > resetsAt.getTime()) &&
        (await countRows("bookpost_private.gate($1) where reason = 'no_budget'", api)) > 0 &&
        (await countRows("bookpost_private.leases where api_code = $1", api)) === 0,
    );

    const calls = callsOf(api);
    expect(callsOverDay(calls, { calls: callsPerDay, resetsAt })).toEqual([]);
    expect(callsOverInFlight(calls, CALLS_IN_FLIGHT)).toEqual([]);
    expect(calls.filter(({ over }) => over !== null)).toEqual([]);
    expect(calls.filter(({ at }) => at < resetsAt.getTime())).toHaveLength(callsPerDay);
  }, 60_000);

  test("leave a carrier alone when it says so, however it says it, and lose nothing by it", async () => {
    const api = "usps";
    const window = { calls: 12, windowMs: 5_000 };
    const lookupsAnswered = () =>
      callsOf(api).filter(({ kind, status }) => kind === "lookup" && status === 200);
    await setLimits(api, { window });
    sandbox.limit({ api, ...window });
    sandbox.limit({ api, inFlight: CALLS_IN_FLIGHT });
    // Answers take their time, so that some are on their way when a refusal comes.
    sandbox.fault({ mode: "slow", ms: 300, api });
    // The first storm meets the token requests.
    sandbox.fault({ mode: "status", status: 429, retryAfter: "4", api, times: 3 });
    await track(api, 15);
    await untilWhileDispatching(
      api,
      "the first storm is over",
      () => lookupsAnswered().length >= 5,
    );

    // The second meets permits that were given and wait for their moment.
    await track(api, 15);
    await untilWhileDispatching(
      api,
      "a permit is for more than three seconds from now",
      async () => {
        await hurry(api);
        return (
          (await countRows(
            "bookpost_private.leases where api_code = $1 and call_at > clock_timestamp() + interval '3 seconds'",
            api,
          )) > 0
        );
      },
    );
    // It says so by a date, and the last of its refusals come when that has passed.
    const retryAfter = new Date(Date.now() + 7_000).toUTCString();
    sandbox.fault({ mode: "status", status: 429, retryAfter, api, kind: "lookup", times: 4 });
    await untilWhileDispatching(api, "every parcel has its answer", async () => {
      const unmoved = "bookpost.parcels where carrier_code = $1 and status <> 'in_transit'";
      return (await countRows(unmoved, api)) === 0;
    });

    const calls = callsOf(api);
    const holdsBy = (text: string) => holdsOf(calls.filter((call) => call.retryAfter === text));
    expect(holdsBy("4").length).toBeGreaterThan(0);
    expect(holdsBy(retryAfter).length).toBeGreaterThan(0);
    // Chosen: the answer, its commit, and a request that had its last look at the database before that, in processes
    // that have only just started on a busy machine (seen: 1.1 s).
    expect(callsDuringHold(calls, 2_000)).toEqual([]);
    expect(callsOverWindow(calls, window)).toEqual([]);
    expect(callsOverInFlight(calls, CALLS_IN_FLIGHT)).toEqual([]);
    // Each parcel once: nothing was lost, and nothing asked twice.
    expect(await countRows("bookpost.parcels where carrier_code = $1", api)).toBe(30);
    expect(new Set(lookupsAnswered().map(({ number }) => number)).size).toBe(30);
    expect(lookupsAnswered()).toHaveLength(30);
  }, 60_000);
});

test("no time that was written down can be told from one worker's clock or another's", async () => {
  // Jobs are put off by a minute at most.
  const { rows } = await db.pool.query(
    `select w.what, w.at from (
       select 'a call' as what, called_at as at from bookpost_private.carrier_calls
       union all select 'a lookup''s start', started_at from bookpost_private.lookups
       union all select 'a lookup''s end', finished_at from bookpost_private.lookups
       union all select 'a look', last_looked_at from bookpost_private.checks
       union all select 'a change', status_changed_at from bookpost.parcels
       union all select 'a job', run_at from graphile_worker.jobs where task_identifier = 'track_book'
     ) w
     where w.at not between $1 and clock_timestamp() + case w.what when 'a job' then interval '2 minutes' else '0' end`,
    [startedAt],
  );
  expect(rows).toEqual([]);
  expect(await countRows("bookpost_private.carrier_calls")).toBeGreaterThan(0);
});
