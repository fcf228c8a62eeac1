import { Logger, run } from "graphile-worker";
import { createPool } from "../db/pool.ts";
import { LOST } from "./workerPlugin.ts";
import { workerPreset } from "./workerPreset.ts";

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
  // Ours, so that it can be closed.
  const pgPool = createPool(options.databaseUrl, "queue");
  const runner = await run({
    pgPool,
    preset: {
      extends: [workerPreset],
      worker: { connectionString: options.databaseUrl, ...silence },
    },
    noHandleSignals: true,
  });
  let isStopping = false;
  const lost = new Promise<never>((_, reject) => {
    (runner.events as unknown as NodeJS.EventEmitter).once(LOST, reject);
  });
  const ended = runner.promise.then(() => {
    // The queue's library resolves even when its pool broke down.
    if (!isStopping) throw new Error("the worker ended by itself");
  });
  return {
    finished: Promise.race([ended, lost]),
    async stop() {
      isStopping = true;
      await runner.stop();
      await pgPool.end();
    },
  };
}
