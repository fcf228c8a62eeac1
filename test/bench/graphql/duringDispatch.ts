import { createPool } from "../../../src/db/pool.ts";
import { startSandbox } from "../../../src/sandbox/server.ts";
import { dispatch } from "../../../src/sql/dispatch.ts";
import { ago } from "../../helpers/ago.ts";
import { carrierEnvironment, startWorkerProcess } from "../../helpers/workerProcess.ts";
import type { BenchDatabase } from "../openBenchDatabase.ts";
import { ask } from "./asking.ts";
import type { Load, Work } from "./load.ts";
import type { BenchProcess } from "./startProcess.ts";

/** Of single requests, in milliseconds. */
interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly most: number;
}

export interface DuringDispatch {
  readonly pages: Readonly<Record<"alone" | "during the dispatch", Latency>>;
  readonly dispatched: number;
  readonly dispatchSeconds: number;
  /** Lookups that ended while the page was asked for. */
  readonly lookedUp: number;
}

/** Chosen: twenty people who look at a book in the same second. */
const PAGES_PER_SECOND = 20;
/** Chosen: what one worker does beside everything else on a small machine. */
const CONCURRENCY = "50";

/**
 * One book's page at a steady rate, first alone, then while every parcel is due
 * at once: the real dispatch queues them all and a real worker looks them up at
 * a sandbox. The APIs' own limits are lifted, else a dispatch would be as long
 * as the carriers' patience and cost nothing.
 */
export async function duringDispatch(
  { pool, url }: BenchDatabase,
  options: Pick<Work, "origin" | "requests"> & {
    readonly loader: BenchProcess<unknown>;
    readonly seconds: number;
  },
): Promise<DuringDispatch> {
  const pages = async (): Promise<Latency> =>
    latencyOf(
      await ask(options.loader, {
        origin: options.origin,
        requests: options.requests,
        connections: 10,
        ms: options.seconds * 1_000,
        perSecond: PAGES_PER_SECOND,
      }),
    );
  const alone = await pages();

  const sandbox = await startSandbox();
  // As the worker has it: a dispatch may take longer than a lookup's statements.
  const housekeeping = createPool(url, "housekeeping");
  try {
    await pool.query("delete from bookpost.carrier_limits");
    await pool.query(
      "update bookpost.carrier_apis set calls_per_day = null, calls_per_parcel_per_day = null, calls_in_flight = 1000000",
    );
    const { rows } = await pool.query<{ number: string }>(
      "select tracking_number as number from bookpost.parcels",
    );
    for (const { number } of rows)
      sandbox.script(number, {
        steps: [
          { stage: "pre_transit", at: ago(60), city: "Bath", country: "GB" },
          { stage: "in_transit", at: ago(20), city: "Leeds", country: "GB" },
        ],
        shown: 2,
      });
    const worker = await startWorkerProcess(
      { pool, url },
      { ...carrierEnvironment(sandbox), BOOKPOST_CONCURRENCY: CONCURRENCY },
    );
    try {
      const before = await lookupsOf(pool);
      await housekeeping.query(
        "update bookpost_private.checks set next_check_at = clock_timestamp()",
      );
      const asked = pages();
      const startedAt = performance.now();
      const dispatched = (await dispatch(housekeeping)).reduce(
        (sum, api) => sum + api.dispatched,
        0,
      );
      const dispatchSeconds = (performance.now() - startedAt) / 1_000;
      return {
        pages: { alone, "during the dispatch": await asked },
        dispatched,
        dispatchSeconds,
        lookedUp: (await lookupsOf(pool)) - before,
      };
    } finally {
      await worker.stop();
    }
  } finally {
    await housekeeping.end();
    await sandbox.close();
  }
}

async function lookupsOf(pool: BenchDatabase["pool"]): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    "select count(*)::integer as count from bookpost_private.lookups",
  );
  return rows[0]?.count ?? 0;
}

function latencyOf({ latencies, count }: Load): Latency {
  const at = (share: number) =>
    latencies[Math.min(count - 1, Math.floor(count * share))] ?? Number.NaN;
  return { count, p50: at(0.5), p95: at(0.95), most: at(1) };
}
