import type {} from "graphile-worker";
import type { Config } from "../config.ts";
import { createPool } from "../db/pool.ts";
import { openRuntime } from "../tracking/runtime.ts";
import { compareSlots } from "./compareSlots.ts";
import { fingerprint } from "./fingerprint.ts";
import { startHeartbeat } from "./heartbeat.ts";

// What one worker holds of Postgres at most, whatever its concurrency: 14 connections. Six workers, an API (10) and a
// person at psql fit into Postgres's default of 100. All are opened only as needed; a busy worker was seen with 7.

/**
 * The queue's own: one listens, one fetches jobs for all slots, one for cron; the others write the ends of jobs, which
 * go in batches.
 */
export const QUEUE_CONNECTIONS = 8;

/** Ours: acquire, record and snooze take one each, for batches of jobs; dispatch, maintain and permits given back share the rest. */
const TRACKING_CONNECTIONS = 5;

/**
 * Gives every worker pool its connections, carriers and heartbeat, whoever
 * starts it: `npm start`, or the stock `graphile-worker` command. They open
 * with the pool and close when it has drained.
 */
export function workerPlugin(config: Config): GraphileConfig.Plugin {
  const closers = new Map<string, () => Promise<void>>();
  return {
    name: "BookpostWorkerPlugin",
    version: "0.1.0",
    worker: {
      middleware: {
        init(next) {
          const compiled = next();
          const { events, logger, resolvedPreset } = compiled;
          const onError = (what: string, error: unknown) =>
            logger.error(`${what}: ${error instanceof Error ? error.message : error}`);
          const onWarning = (sentence: string) => logger.warn(sentence);
          events.on("pool:create", ({ workerPool }) => {
            const databaseUrl = resolvedPreset.worker.connectionString;
            if (databaseUrl)
              closers.set(
                workerPool.id,
                open({ workerId: workerPool.id, databaseUrl, config, onError, onWarning }),
              );
          });
          return compiled;
        },
        async poolGracefulShutdown(next, { workerPool }) {
          try {
            return await next();
          } finally {
            await closers.get(workerPool.id)?.();
            closers.delete(workerPool.id);
          }
        },
      },
    },
  };
}

function open(options: {
  readonly workerId: string;
  readonly databaseUrl: string;
  readonly config: Config;
  readonly onError: (what: string, error: unknown) => void;
  readonly onWarning: (sentence: string) => void;
}): () => Promise<void> {
  const { workerId, databaseUrl, config, onError, onWarning } = options;
  const pool = createPool(databaseUrl, "worker", {
    max: TRACKING_CONNECTIONS,
    onError: (error) => onError("a connection was lost", error),
  });
  const heartbeatPool = createPool(databaseUrl, "heartbeat", {
    onError: (error) => onError("the heartbeat's connection was lost", error),
  });
  const configured = [...config.carriers.values()].filter(({ credentials }) => credentials);
  const heartbeat = startHeartbeat({
    pool: heartbeatPool,
    workerId,
    apiFingerprints: Object.fromEntries(configured.map((c) => [c.code, fingerprint(c)])),
    onError,
  });
  const codes = configured.map(({ code }) => code);
  heartbeat.ready
    .then(() => compareSlots(pool, codes, config.concurrency))
    .then((warning) => warning !== null && onWarning(warning))
    // A database that does not answer is told of by the heartbeat.
    .catch(() => {});
  const runtime = openRuntime({
    workerId,
    pool,
    carriers: config.carriers,
    ready: heartbeat.ready,
  });
  return async () => {
    await heartbeat.stop();
    await runtime.close();
    await Promise.allSettled([pool.end(), heartbeatPool.end()]);
  };
}
