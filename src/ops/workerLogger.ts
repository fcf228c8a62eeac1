import { Logger } from "graphile-worker";

/**
 * What the queue says at every start where it has fewer connections than slots. It holds for jobs that use one
 * each; ours wait for carriers without one. The words are graphile-worker 0.18's; others would simply be printed.
 */
const NEEDLESS = /^WARNING: having maxPoolSize \(\d+\) smaller than concurrency/;

const PRINT = {
  error: console.error,
  warning: console.warn,
  info: console.info,
  debug: console.log,
} as const;

/**
 * Prints what the queue has to say, a line for each event: who says it, the job's task and id, the level, and what.
 * As with the queue's own, debug is printed with GRAPHILE_LOGGER_DEBUG only.
 */
export const workerLogger = new Logger(({ label, workerId, taskIdentifier, jobId }) => {
  const who = [label, workerId, taskIdentifier, jobId].filter(Boolean).join(" ");
  const prefix = who && `[${who}] `;
  return (level, message) => {
    if (NEEDLESS.test(message) || (level === "debug" && !process.env.GRAPHILE_LOGGER_DEBUG)) return;
    PRINT[level]("%s%s: %s", prefix, level.toUpperCase(), message);
  };
});
