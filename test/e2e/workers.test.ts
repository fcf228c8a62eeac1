import { describe, expect, test } from "vitest";
import type { Sandbox } from "../../src/sandbox/sandbox.ts";
import { startSandbox } from "../../src/sandbox/server.ts";
import { startFaultline } from "../harness/faultline.ts";
import { startProc } from "../harness/procs.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { offsetTime } from "../helpers/offsetTime.ts";
import { one } from "../helpers/one.ts";
import { until } from "../helpers/until.ts";
import {
  carrierEnvironment,
  startWorkerProcess,
  WORKER_COMMANDS,
  type WorkerOptions,
  type WorkerProcess,
} from "../helpers/workerProcess.ts";

// What real workers do when something of theirs breaks. Each test has a database of its own, and they run side by side:
// most of their time they wait. The long versions, with many rounds and their seconds, are under test/faults.

interface Stage {
  readonly db: TestDatabase;
  readonly sandbox: Sandbox;
  /** Starts a worker; `databaseUrl`: by another way than straight. */
  start(
    options?: WorkerOptions & { databaseUrl?: string; concurrency?: number },
  ): Promise<WorkerProcess>;
  /** Tracks a parcel that is in transit, and asks for a dispatch. */
  track(number: string): Promise<void>;
  statusOf(number: string): Promise<string>;
  /** How often the carrier was asked about it. */
  asked(number: string): number;
}

/** Gone when the test has finished, whichever runs beside it. */
async function openStage(finish: (work: () => Promise<void>) => void): Promise<Stage> {
  const db = await createTestDatabase();
  finish(() => db.drop());
  const sandbox = await startSandbox();
  finish(() => sandbox.close());
  return {
    db,
    sandbox,
    async start({ databaseUrl = db.url, concurrency = 10, ...options } = {}) {
      const environment = {
        ...carrierEnvironment(sandbox),
        BOOKPOST_CONCURRENCY: String(concurrency),
      };
      const worker = await startWorkerProcess(
        { url: databaseUrl, pool: db.pool },
        environment,
        options,
      );
      finish(async () => void (await worker.close()));
      return worker;
    },
    async track(number) {
      sandbox.script(number, { steps: [{ stage: "in_transit", at: offsetTime(50) }] });
      await db.pool.query("select bookpost.track_book($1, 'ups', $1)", [number]);
      await db.pool.query("select bookpost_private.wake_dispatch()");
    },
    statusOf: async (number) =>
      (
        await one<{ status: string }>(
          db.pool,
          "select status from bookpost.parcels where tracking_number = $1",
          [number],
        )
      ).status,
    asked: (number) =>
      sandbox.log.filter((entry) => entry.kind === "lookup" && entry.number === number).length,
  };
}

const NUMBER = "1Z12345E0205271688";
const ANOTHER = "1Z12345E6605272234";

const BEAT = {
  applicationName: "bookpost heartbeat",
  direction: "upstream",
  match: "bookpost_private.beat",
} as const;
const FETCH = {
  applicationName: "bookpost queue",
  direction: "upstream",
  match: /get_job\d*\//,
} as const;

describe.concurrent("a worker", { timeout: 120_000 }, () => {
  test("that is killed: another asks about what it had under way, and the answer is written down once", async ({
    onTestFinished: finish,
  }) => {
    const { db, sandbox, start, track, statusOf, asked } = await openStage(finish);
    const workers = await Promise.all([start(), start()]);
    sandbox.fault({ mode: "hang", kind: "lookup", times: 1 });
    await track(NUMBER);
    await until("the carrier is asked", async () => asked(NUMBER) === 1);
    const { pid } = await one<{ pid: number }>(
      db.pool,
      `select w.process_id as pid from bookpost_private.leases l
       join bookpost_private.workers w on w.id = l.worker_id`,
    );
    workers.find((worker) => worker.pid === pid)?.kill("SIGKILL");

    await until("the other has the answer", async () => (await statusOf(NUMBER)) === "in_transit");
    expect(asked(NUMBER)).toBe(2);
    const { rows } = await db.pool.query(
      "select outcome, error_code from bookpost_private.lookups order by finished_at",
    );
    expect(rows).toEqual([
      { outcome: "interrupted", error_code: "CRASHED" },
      { outcome: "updated", error_code: null },
    ]);
    expect((await db.pool.query("select * from bookpost.notifications")).rows).toHaveLength(1);
    expect((await db.pool.query("select * from bookpost_ops.stuck")).rows).toEqual([]);
  });

  test("that cannot reach Postgres, though every connection stays open, ends by itself with 1", async ({
    onTestFinished: finish,
  }) => {
    const { db, start, track, statusOf } = await openStage(finish);
    const line = await startFaultline(db.url);
    finish(() => line.close());
    const worker = await start({ databaseUrl: line.url(db.url) });
    await track(NUMBER);
    await until("it is at work", async () => (await statusOf(NUMBER)) === "in_transit");
    line.add({ type: "blackhole" });
    const { code, output } = await worker.ended;
    // Whichever it notices first: that Postgres does not answer, or that the queue does not.
    expect(output).toMatch(/this worker ends: .* for 15 seconds/);
    expect(code).toBe(1);
  });

  test("whose clock is an hour ahead leaves the timetable to others, and does the work", async ({
    onTestFinished: finish,
  }) => {
    const { db, start, track, statusOf } = await openStage(finish);
    // By its own clock 20 seconds before a full minute, so that the crontab's turn comes soon and finds it at work.
    const clockShiftMs = 3_600_000 + ((100_000 - (Date.now() % 60_000)) % 60_000);
    const worker = await start({ clockShiftMs });
    const filledIn = async () => {
      const { rows } = await db.pool.query(
        "select identifier from graphile_worker._private_known_crontabs where last_execution is not null",
      );
      return rows.map(({ identifier }) => identifier);
    };
    await until(
      "the crontab's turn has come",
      async () =>
        worker.output().includes("leaves the crontab to others") || (await filledIn()).length > 0,
      90_000,
    );
    expect(await filledIn()).toEqual([]);
    await track(NUMBER);
    await until("it looks", async () => (await statusOf(NUMBER)) === "in_transit");
  });

  test("that is asked to stop writes down what is under way, begins nothing more and ends with 0", async ({
    onTestFinished: finish,
  }) => {
    const { db, sandbox, start, track, statusOf, asked } = await openStage(finish);
    const worker = await start({ concurrency: 1 });
    sandbox.fault({ mode: "slow", ms: 1_500, kind: "lookup", times: 1 });
    await track(NUMBER);
    await until("the carrier is asked", async () => asked(NUMBER) === 1);
    await db.pool.query("select bookpost.track_book($1, 'ups', $1)", [ANOTHER]);
    // It waits in the queue, and there is no slot for it.
    await db.pool.query("select bookpost_private.dispatch()");

    const { code, signal, output } = await worker.stop();
    expect({ code, signal }, output).toEqual({ code: 0, signal: null });
    expect([await statusOf(NUMBER), await statusOf(ANOTHER)]).toEqual(["in_transit", "pending"]);
    expect(asked(ANOTHER)).toBe(0);
    const { rows: jobs } = await db.pool.query(
      "select key, locked_by from graphile_worker.jobs where task_identifier = 'track_book'",
    );
    expect(jobs).toEqual([{ key: expect.stringMatching(/^parcel:/), locked_by: null }]);
    const { rows: held } = await db.pool.query("select from bookpost_private.leases");
    expect(held).toEqual([]);
  });

  test("takes no job before its first beat", async ({ onTestFinished: finish }) => {
    const { db, start, track, statusOf } = await openStage(finish);
    const line = await startFaultline(db.url);
    finish(() => line.close());
    await track(NUMBER);
    const beats = line.watch({ ...BEAT, times: 3 }, "cut");
    let lostBeats = 0;
    const fetch = line.watch(FETCH, async () => {
      lostBeats = beats.count;
      return "forward";
    });
    await start({ databaseUrl: line.url(db.url) });
    await fetch.happened;
    expect(lostBeats).toBe(3);
    await until("it looks", async () => (await statusOf(NUMBER)) === "in_transit");
  });

  test("that is asked to stop before its first beat ends with 0 at once", async ({
    onTestFinished: finish,
  }) => {
    const { db, sandbox, track, statusOf } = await openStage(finish);
    const line = await startFaultline(db.url);
    finish(() => line.close());
    await track(NUMBER);
    const beats = line.watch({ ...BEAT, times: 1_000 }, "cut");
    const worker = await startProc(WORKER_COMMANDS.stock, {
      environment: {
        ...carrierEnvironment(sandbox),
        NODE_ENV: "test",
        GRAPHILE_ENV: "test",
        DATABASE_URL: line.url(db.url),
      },
    });
    finish(async () => void (await worker.close()));
    await worker.untilReady("it tries to beat", async () => beats.count > 0);
    const { code, signal, output } = await worker.stop();
    expect({ code, signal }, output).toEqual({ code: 0, signal: null });
    // Not what ends a worker that waits for its first beat for ever.
    expect(output).not.toContain("15 seconds");
    expect(await statusOf(NUMBER)).toBe("pending");
    const { rows: locked } = await db.pool.query(
      "select from graphile_worker.jobs where locked_by is not null",
    );
    expect(locked).toEqual([]);
  });
});
