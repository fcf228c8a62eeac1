import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Sandbox, startSandbox } from "../../src/sandbox/server.ts";
import { dispatch } from "../../src/sql/dispatch.ts";
import { forceCircuit } from "../../src/sql/forceCircuit.ts";
import { ago } from "../helpers/ago.ts";
import { carrierEnvironment, startWorkerProcess } from "../helpers/workerProcess.ts";
import type { BenchDatabase } from "./openBenchDatabase.ts";

// Six APIs that take one number a call. Their pace and daily limits are lifted, so that nothing but their calls in
// flight holds them back.
const HEALTHY = ["ups", "postnl", "canada_post"];
const TROUBLED = { hangs: "dhl", fails: "usps", throttles: "la_poste" } as const;
const APIS = [...HEALTHY, ...Object.values(TROUBLED)];

export interface Condition {
  /** Whether the three that can be troubled have parcels due at all. */
  readonly hasOthersDue: boolean;
  readonly areOthersTroubled: boolean;
  /** The circuit of the one that hangs is kept from opening: its calls in flight stay taken all the time. */
  readonly isHangHeld: boolean;
}

export interface Reading {
  /** Answers a second that the healthy carriers gave, all together. */
  readonly healthy: number;
  /** Requests a second that the other three got. */
  readonly troubled: number;
  /** The most requests that hung at once. */
  readonly hanging: number;
  /** Jobs a second that ended without a request. */
  readonly refused: number;
  /** Of the worker processes to Postgres, at the end. */
  readonly connections: number;
  /** Resident memory of all worker processes, at the end. */
  readonly megabytes: number;
}

export interface BenchWorker {
  /** Starts worker processes anew under a condition, with all parcels due, and counts for so long. */
  measure(condition: Condition, seconds: number): Promise<Reading>;
  close(): Promise<void>;
}

/** Chosen: the worker is at full speed well before; nothing is counted until then. */
const SETTLE_MS = 2_000;
/** In life dispatch runs every minute; more often, trouble comes back more often. */
const DISPATCH_MS = 5_000;

export async function benchWorker(
  database: BenchDatabase,
  options: {
    readonly parcels: number;
    readonly latency: number;
    readonly workers: number;
    readonly concurrency: number;
  },
): Promise<BenchWorker> {
  const { pool } = database;
  const sandbox = await startSandbox();
  await makeParcels(database, sandbox, options.parcels);
  const environment = {
    ...Object.fromEntries(
      Object.entries(carrierEnvironment(sandbox)).filter(([name]) =>
        APIS.some((api) => name.startsWith(`${api.toUpperCase()}_`)),
      ),
    ),
    ...(options.concurrency > 0 ? { BOOKPOST_CONCURRENCY: String(options.concurrency) } : {}),
  };

  async function prepare(condition: Condition): Promise<void> {
    await pool.query(
      "select graphile_worker.complete_jobs(array(select id from graphile_worker.jobs where locked_at is null))",
    );
    for (const apiCode of APIS)
      await forceCircuit(pool, {
        apiCode,
        to: "reset",
        author: "bench",
        reason: "a new measurement",
        holdFor: "1 hour",
      });
    // None of them is recovering from an outage of the measurement before.
    await pool.query("update bookpost.carrier_circuits set released_at = null");
    await pool.query(
      "update bookpost_private.budgets set not_before = null, not_before_reason = null, next_release_at = '-infinity'",
    );
    await pool.query(
      "update bookpost.carrier_apis set failure_threshold = case when $1 and code = $2 then 1000000 else 3 end",
      [condition.isHangHeld, TROUBLED.hangs],
    );
    await pool.query(
      `update bookpost_private.checks set failure_count = 0,
        next_check_at = case when api_code = any ($1) then clock_timestamp() else clock_timestamp() + interval '1 day' end`,
      [condition.hasOthersDue ? APIS : HEALTHY],
    );
    sandbox.clearFaults();
    sandbox.fault({ mode: "slow", kind: "lookup", ms: options.latency });
    if (!condition.areOthersTroubled) return;
    sandbox.fault({ mode: "hang", kind: "lookup", api: TROUBLED.hangs });
    sandbox.fault({ mode: "status", status: 500, kind: "lookup", api: TROUBLED.fails });
    sandbox.fault({
      mode: "status",
      status: 429,
      retryAfter: "5",
      kind: "lookup",
      api: TROUBLED.throttles,
    });
  }

  async function measure(condition: Condition, seconds: number): Promise<Reading> {
    await prepare(condition);
    const began = sandbox.log.length;
    const workers = await Promise.all(
      Array.from({ length: options.workers }, () => startWorkerProcess(database, environment)),
    );
    const ended = () => workers.reduce((sum, worker) => sum + jobsEnded(worker.output()), 0);
    try {
      await dispatch(pool);
      const dispatching = setInterval(() => dispatch(pool).catch(() => {}), DISPATCH_MS);
      try {
        await sleep(SETTLE_MS);
        const [from, endedBefore] = [sandbox.log.length, ended()];
        const startedAt = performance.now();
        await sleep(seconds * 1_000);
        const took = (performance.now() - startedAt) / 1_000;
        const asked = sandbox.log.slice(from).filter(({ kind }) => kind === "lookup");
        const endedInTime = ended() - endedBefore;
        const ofHealthy = asked.filter(({ api }) => HEALTHY.includes(api));
        // Those that hang all the time were asked before we began to count.
        const ofHanging = sandbox.log.slice(began).filter(({ api }) => api === TROUBLED.hangs);
        return {
          healthy: ofHealthy.length / took,
          troubled: (asked.length - ofHealthy.length) / took,
          hanging: condition.areOthersTroubled
            ? Math.max(0, ...ofHanging.map(({ concurrent }) => concurrent))
            : 0,
          refused: Math.max(0, endedInTime - asked.length) / took,
          connections: await countConnections(database),
          megabytes: await residentMegabytes(workers.map(({ child }) => child.pid ?? 0)),
        };
      } finally {
        clearInterval(dispatching);
      }
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()));
    }
  }

  return { measure, close: () => sandbox.close() };
}

async function makeParcels({ pool }: BenchDatabase, sandbox: Sandbox, count: number) {
  await pool.query("delete from bookpost.carrier_limits");
  await pool.query(
    "update bookpost.carrier_apis set calls_per_day = null, calls_per_parcel_per_day = null",
  );
  const numbers = Array.from({ length: count }, (_, i) => `BENCH${String(i).padStart(9, "0")}`);
  for (const number of numbers)
    sandbox.script(number, {
      steps: [
        { stage: "pre_transit", at: ago(60), city: "Bath", country: "GB" },
        { stage: "in_transit", at: ago(40), city: "Leeds", country: "GB" },
      ],
      shown: 2,
    });
  // In pieces, with the planner told in between what there is by now.
  for (const api of APIS)
    for (let i = 0; i < count; i += 500) {
      await pool.query(
        "select bookpost.track_book('Book ' || n, $1, n) from unnest($2::text[]) n",
        [api, numbers.slice(i, i + 500)],
      );
      await pool.query("analyze");
    }
}

/** The queue's log has a line for each job that ended well. */
function jobsEnded(output: string): number {
  return output.match(/Completed task \d+ \(track_book/g)?.length ?? 0;
}

/** All but our own. */
async function countConnections({ pool }: BenchDatabase): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::integer from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and client_port is not null`,
  );
  return (rows[0]?.count ?? 0) - (pool.totalCount - 1);
}

async function residentMegabytes(processIds: readonly number[]): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", processIds.join(",")]);
  return (
    stdout
      .trim()
      .split(/\s+/)
      .reduce((sum, kilobytes) => sum + Number(kilobytes), 0) / 1024
  );
}
