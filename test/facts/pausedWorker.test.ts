import { expect, test } from "vitest";
import { makeStockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { until } from "../helpers/until.ts";

// A completion deletes the job by its id alone; whose it is by then is not asked.

test("a worker that was paused and lost its lock deletes the job that another is running", async () => {
  const queue = await makeStockQueue();
  const paused = await startStockWorker(queue.url);
  const jobId = await queue.addJob("hold");
  await paused.untilTold("holds", { jobId });
  const before = await queue.job(jobId);
  paused.child.kill("SIGSTOP");

  await queue.pool.query("select graphile_worker.force_unlock_workers(array[$1])", [
    before?.locked_by,
  ]);
  const other = await startStockWorker(queue.url);
  await other.untilTold("holds", { jobId });
  const taken = await queue.job(jobId);
  expect(taken).toMatchObject({ attempts: 2, locked_by: expect.stringMatching(/^pool-/) });
  expect(taken?.locked_by).not.toBe(before?.locked_by);

  paused.finish(jobId);
  paused.child.kill("SIGCONT");
  await until("the job's row is gone", async () => (await queue.job(jobId)) === null);
  expect(other.events.some(({ name }) => name === "job:complete")).toBe(false);
  other.finish(jobId);
  // The other's own completion finds nothing, and says nothing of it.
  await other.untilTold("job:success", { jobId });
  const later = await queue.addJob("quick");
  await until("a later job is done", async () => (await queue.job(later)) === null);
  expect(other.isAlive()).toBe(true);
});
