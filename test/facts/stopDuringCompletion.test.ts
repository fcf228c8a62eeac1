import { expect, test } from "vitest";
import { openLink } from "../helpers/stock/link.ts";
import { makeStockQueue } from "../helpers/stock/queue.ts";
import { type StockOptions, startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { until } from "../helpers/until.ts";

// F3: on the default settings a SIGTERM does not wait for a completion on its way. How many jobs that strands is a
// matter of luck; here the completion is held on the link, so that there is none.

const COMPLETION = "complete_job/graphile_worker";

/** A worker told to stop while it has a job, whose completion then gets no further than the link. */
async function stopWithACompletionOnItsWay(options: StockOptions) {
  const queue = await makeStockQueue();
  const link = await openLink(queue.url);
  const worker = await startStockWorker(link.url, options);
  const jobId = await queue.addJob("hold");
  await worker.untilTold("holds", { jobId });
  const lockedBy = (await queue.job(jobId))?.locked_by;
  link.holdFrom(COMPLETION);
  worker.child.kill("SIGTERM");
  await worker.untilTold("pool:gracefulShutdown");
  worker.finish(jobId);
  await worker.untilTold("job:success", { jobId });
  return { queue, link, worker, jobId, lockedBy };
}

test("on default settings SIGTERM ends the worker before the completion has arrived, and the finished job stays locked", async () => {
  const { queue, link, worker, jobId, lockedBy } = await stopWithACompletionOnItsWay({});
  expect(await worker.ended).toEqual({ code: null, signal: "SIGTERM" });
  await until("the link has lost it too", async () => link.heldCount() === 0);
  expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy, attempts: 1 });
});

test("with completeJobBatchDelay 0 a stop waits for the completion and strands nothing", async () => {
  const { queue, link, worker, jobId, lockedBy } = await stopWithACompletionOnItsWay({
    worker: { completeJobBatchDelay: 0 },
  });
  await until("the completion is on its way", async () => link.heldCount() === 1);
  await worker.untilTold("pool:listen:release");
  expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy });
  expect(worker.isAlive()).toBe(true);
  link.deliver();
  await worker.ended;
  expect(await queue.job(jobId)).toBeNull();
});
