import type { Job } from "graphile-worker";
import type pg from "pg";
import { type CarrierClient, createCarrierClient } from "../carriers/client.ts";
import { adapters } from "../carriers/registry.ts";
import type { CarrierConfig } from "../config.ts";
import { persist } from "../db/persist.ts";
import { BookpostError } from "../errors.ts";
import type { Deliverer } from "../notifications/deliverer.ts";
import { type SnoozedJob, snoozeJobs } from "../sql/snoozeJobs.ts";
import { coalesce } from "./coalesce.ts";
import { createTracker, type Tracker } from "./tracker.ts";

/** What the tasks of one worker pool share. */
export interface Runtime {
  /** For what may take longer than a lookup's few milliseconds. */
  readonly housekeepingPool: pg.Pool;
  readonly tracker: Tracker;
  readonly deliverer: Deliverer;
  /** Puts the running job off by `ms` of the database's clock; it then ends as done. Commits. */
  snooze(job: Job, ms: number): Promise<void>;
  /** Resolves once this worker has said that it is alive: from then on dispatch counts on its carriers. */
  readonly ready: Promise<void>;
}

/** Chosen: as many as one acquire can refuse. */
const MAX_SNOOZED = 100;

const runtimes = new Map<string, Runtime>();

/**
 * The runtime of the worker pool that runs a job (`job.locked_by`).
 * @throws BookpostError when the worker was started without our config.
 */
export function runtimeOf(workerId: string | null): Runtime {
  const runtime = runtimes.get(workerId ?? "");
  if (runtime) return runtime;
  throw new BookpostError(
    "NO_RUNTIME",
    "This worker was started without bookpost's plugin. Start it in the project's folder, with its graphile.config.ts.",
  );
}

/** Opens the carriers that have credentials and makes the runtime known to the tasks; `close` undoes both. */
export function openRuntime(options: {
  readonly workerId: string;
  readonly pool: pg.Pool;
  readonly housekeepingPool: pg.Pool;
  readonly deliverer: Deliverer;
  readonly carriers: ReadonlyMap<string, CarrierConfig>;
  readonly ready: Promise<void>;
}): { readonly tracker: Tracker; close(): Promise<void> } {
  const { workerId, pool, housekeepingPool, deliverer, carriers, ready } = options;
  const clients = new Map<string, CarrierClient>();
  for (const adapter of adapters) {
    const carrier = carriers.get(adapter.code);
    if (carrier?.credentials)
      clients.set(
        adapter.code,
        createCarrierClient(adapter, {
          credentials: carrier.credentials,
          baseUrl: carrier.baseUrl,
        }),
      );
  }
  // Many are refused together, and each commit of its own would hold the slot while it waits for the others'.
  const snoozeOne = coalesce(async (jobs: readonly SnoozedJob[]) => {
    await persist(() => snoozeJobs(pool, jobs));
    return jobs;
  }, MAX_SNOOZED);
  const tracker = createTracker({ pool, workerId, clients });
  runtimes.set(workerId, {
    housekeepingPool,
    tracker,
    deliverer,
    async snooze({ task_identifier, payload, key, max_attempts }, ms) {
      await snoozeOne({ task_identifier, payload, key, max_attempts, ms });
    },
    ready,
  });
  return {
    tracker,
    async close() {
      runtimes.delete(workerId);
      await Promise.allSettled([...clients.values()].map((client) => client.close()));
    },
  };
}
