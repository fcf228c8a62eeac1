import { consoleLogFactory, Logger } from "graphile-worker";

/**
 * What the queue says at every start where it has fewer connections than slots. It holds for jobs that use one
 * each; ours wait for carriers without one. The words are graphile-worker 0.18's; others would simply be printed.
 */
const NEEDLESS = /^WARNING: having maxPoolSize \(\d+\) smaller than concurrency/;

/** Prints as the queue does by itself, without the one warning that is not true of us. */
export const workerLogger = new Logger((scope) => {
  const print = consoleLogFactory(scope);
  return (level, message, meta) => {
    if (!NEEDLESS.test(message)) print(level, message, meta);
  };
});
