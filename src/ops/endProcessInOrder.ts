import type { Logger, WorkerPool } from "graphile-worker";

/** Those that ask a process to end. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Chosen: running lookups get 5 s (workerPreset.ts) and some more to be written down; supervisors kill after 10. */
const PATIENCE_MS = 9_000;

/** Chosen: what is left to do, such as printing, takes no time. */
const HANGING_MS = 2_000;

/**
 * For the stock `graphile-worker` command, whose exit code says little: after a
 * signal it kills itself by that signal, and a pool that broke down ends the
 * process with 0. With this it is 0 after a signal, when all jobs have ended or
 * been given back, and 1 in all other cases.
 */
export function endProcessInOrder(logger: Logger): {
  /** Ends the process, once, when this pool has ended. */
  watch(pool: WorkerPool): void;
} {
  let isAsked = false;
  let isDrained = false;
  const onSignal = () => {
    // The queue is done, and kills the process by the signal that it got.
    if (isDrained) process.exit(0);
    if (isAsked) return;
    isAsked = true;
    setTimeout(() => {
      logger.error("Not everything has ended within 9 seconds; it is broken off.");
      process.exit(1);
    }, PATIENCE_MS).unref();
  };
  return {
    watch(pool) {
      // One that ends when it has nothing to do (--once) may do so.
      if (!pool.id.startsWith("pool-")) return;
      for (const signal of SIGNALS) process.on(signal, onSignal);
      const end = (what: string) => {
        isDrained = true;
        if (isAsked) return;
        // 57 is the queue's own, for a schema that has become too new for it.
        process.exitCode ??= 1;
        logger.error(what);
        // It ends by itself now, unless something of it hangs.
        setTimeout(() => process.exit(), HANGING_MS).unref();
      };
      pool.promise.then(
        () => end("The worker has ended by itself."),
        (error) => end(`The worker has ended by itself: ${error?.message ?? error}`),
      );
    },
  };
}
