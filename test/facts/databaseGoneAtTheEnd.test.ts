import { expect, test } from "vitest";
import { openLine } from "../helpers/stock/openLine.ts";
import { makeStockQueue } from "../helpers/stock/queue.ts";
import { type StockOptions, startStockWorker } from "../helpers/stock/startStockWorker.ts";

// The end of a task that could not be reported, for the database was gone at that instant, is not reported later.

/** A worker whose job ends at an instant at which connections to the database are refused. */
async function endAJobWithoutDatabase(options: StockOptions) {
  const queue = await makeStockQueue();
  const line = await openLine(queue.url);
  const worker = await startStockWorker(line.address, options);
  const jobId = await queue.addJob("hold");
  await worker.untilTold("holds", { jobId });
  const lockedBy = (await queue.job(jobId))?.locked_by;
  await line.down();
  worker.finish(jobId);
  await worker.untilTold("job:success", { jobId });
  return { queue, line, worker, jobId, lockedBy };
}

test("a task that ends while Postgres refuses connections ends the worker with 1 and stays locked", async () => {
  const { queue, worker, jobId, lockedBy } = await endAJobWithoutDatabase({});
  expect(await worker.ended).toEqual({ code: 1, signal: null });
  expect(worker.output()).toContain("ECONNREFUSED");
  // What it prints when it has tried again in vain.
  expect(worker.output()).not.toContain("Retried");
  expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy, attempts: 1 });
});

test("with a handler of unhandled rejections the worker lives on and keeps the lock of what it has finished", async () => {
  const { queue, line, worker, jobId, lockedBy } = await endAJobWithoutDatabase({
    isDeafToRejections: true,
  });
  const { error } = await worker.untilTold("unhandledRejection");
  expect(error).toContain("ECONNREFUSED");

  await line.up();
  const later = await queue.addJob("hold");
  await worker.untilTold("holds", { jobId: later });
  // The pool that holds the lock is alive and at work: unlocking the pools of the dead would not free it.
  expect((await queue.job(later))?.locked_by).toBe(lockedBy);
  expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy, attempts: 1 });
  worker.finish(later);
  await worker.untilTold("job:success", { jobId: later });
  expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy, attempts: 1 });
});

test("with completions in batches, one failed completion is not tried again and ends the process with 0", async () => {
  const { queue, worker, jobId, lockedBy } = await endAJobWithoutDatabase({
    worker: { completeJobBatchDelay: 0 },
  });
  const { error } = await worker.untilTold("pool:fatalError");
  expect(error).toContain("ECONNREFUSED");
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  // What graphile-worker prints before it tries again.
  expect(worker.output()).not.toContain("completeJobs: attempt");
  expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy, attempts: 1 });
});
