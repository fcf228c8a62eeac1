import { Logger, run } from "graphile-worker";
import preset from "../../graphile.config.ts";

export interface RunningWorker {
  /** Resolves when the worker has ended; rejects when it ended because something broke. */
  readonly finished: Promise<void>;
  /** Takes no new jobs, lets those that run finish (5 s, then they are broken off), and signs off. */
  stop(): Promise<void>;
}

/** Starts a worker in this process, with `tasks/` and `crontab`. Signals are the caller's business. */
export async function startWorker(options: {
  /** Says nothing; what it does shows in the database. */
  readonly isQuiet?: boolean;
  readonly databaseUrl: string;
}): Promise<RunningWorker> {
  const runner = await run({
    preset: {
      extends: [preset],
      worker: {
        connectionString: options.databaseUrl,
        ...(options.isQuiet ? { logger: new Logger(() => () => {}) } : {}),
      },
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
    },
  };
}
