// A program that uses graphile-worker as its documentation says to, and nothing of ours. Started by startStockWorker.ts;
// it tells its parent what happens, and the parent tells it when a job that waits may end.

import { EventEmitter } from "node:events";
import { run, type TaskList, type WorkerEvents } from "graphile-worker";
import type { StockOptions } from "./startStockWorker.ts";

const options = JSON.parse(process.env.STOCK_OPTIONS ?? "{}") as StockOptions;
const tell = (name: string, detail: object = {}) => process.send?.({ name, ...detail });

const waiting = new Map<string, PromiseWithResolvers<void>>();
process.on("message", ({ finish, error }: { finish: string; error?: string }) => {
  const job = waiting.get(finish);
  if (error) job?.reject(new Error(error));
  else job?.resolve();
});
// Whether this process ends is for the worker to say, not for the line to the parent.
process.channel?.unref();

if (options.isDeafToRejections)
  process.on("unhandledRejection", (error) => tell("unhandledRejection", { error: String(error) }));
if (options.tickMs) setInterval(() => tell("tick"), options.tickMs).unref();

const tasks: TaskList = {
  /** Is done at once. */
  quick: () => {},
  /** Fails at once. */
  fail: () => {
    throw new Error("fails by design");
  },
  /** Lasts until the parent says it may end. */
  hold: (_payload, { job }) => {
    const end = Promise.withResolvers<void>();
    waiting.set(job.id, end);
    tell("holds", { jobId: job.id });
    return end.promise;
  },
};

const events = new EventEmitter() as WorkerEvents;
for (const name of [
  "worker:getJob:start",
  "worker:getJob:empty",
  "pool:listen:success",
  "pool:listen:error",
  "pool:gracefulShutdown",
  "pool:listen:release",
  "resetLocked:success",
] as const)
  events.on(name, () => tell(name));
for (const name of ["job:start", "job:success", "job:error", "job:complete"] as const)
  events.on(name, ({ job }: { job: { id: string } }) => tell(name, { jobId: job.id }));
for (const name of ["worker:getJob:error", "pool:fatalError"] as const)
  events.on(name, ({ error }: { error: unknown }) => tell(name, { error: String(error) }));
events.on("cron:scheduled", ({ timestamp }) => tell("cron:scheduled", { timestamp }));

const { crontab, concurrency, ...worker } = options.worker ?? {};
const runner = await run(
  {
    events,
    ...(crontab ? { crontab } : {}),
    concurrency: concurrency ?? 1,
    preset: {
      worker: { connectionString: process.env.DATABASE_URL, pollInterval: 100, ...worker },
    },
  },
  tasks,
);
await runner.promise;
