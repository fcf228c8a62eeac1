import type {} from "graphile-worker";
import type { Config } from "../config.ts";
import { createPool } from "../db/pool.ts";
import { openRuntime } from "../tracking/runtime.ts";
import { fingerprint } from "./fingerprint.ts";
import { startHeartbeat } from "./heartbeat.ts";

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
          events.on("pool:create", ({ workerPool }) => {
            const databaseUrl = resolvedPreset.worker.connectionString;
            if (databaseUrl)
              closers.set(
                workerPool.id,
                open({ workerId: workerPool.id, databaseUrl, config, onError }),
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
}): () => Promise<void> {
  const { workerId, databaseUrl, config, onError } = options;
  const pool = createPool(databaseUrl, "worker", {
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
