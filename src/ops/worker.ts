import { Logger, run } from "graphile-worker";
import preset from "../../graphile.config.ts";
import { createPool } from "../db/pool.ts";
import { QUEUE_CONNECTIONS } from "./workerPlugin.ts";

export interface RunningWorker {
  /** Resolves when the worker has ended; rejects when it ended because something broke. */
  readonly finished: Promise<void>;
  /** Takes no new jobs, lets those that run finish (5 s, then they are broken off), and signs off. */
  stop(): Promise<void>;
}

/** Starts a worker in this process, with `tasks/` and `crontab`. Signals are the caller's business. */
export async function startWorker(options: {
  readonly databaseUrl: string;
  /** Says nothing; what it does shows in the database. */
  readonly isQuiet?: boolean;
}): Promise<RunningWorker> {
  const silence = options.isQuiet ? { logger: new Logger(() => () => {}) } : {};
  // Ours, because the queue's own pool can leave a client behind without an error listener.
  const pgPool = createPool(options.databaseUrl, "worker", { max: QUEUE_CONNECTIONS });
  const runner = await run({
    pgPool,
    preset: {
      extends: [preset],
      worker: { connectionString: options.databaseUrl, ...silence },
    },
    noHandleSignals: true,
  });
  let isStopping = false;
  return {
    finished: runner.promise.then(() => {
      // The queue's library resolves even when its pool broke down.
      if (!isStopping) throw new Error("the worker ended by itself");
    }),
    async stop() {
      isStopping = true;
      await runner.stop();
      await pgPool.end();
    },
  };
}
