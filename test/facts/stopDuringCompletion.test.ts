import { expect, test } from "vitest";
import type { Verdict } from "../harness/faultline.ts";
import { openLine } from "../helpers/stock/openLine.ts";
import { makeStockQueue } from "../helpers/stock/queue.ts";
import { type StockOptions, startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { until } from "../helpers/until.ts";

// On the default settings a stop does not wait for the report of a job's end. How many jobs a stop strands that way is
// luck; here the report is held on the line, so that there is none.

const ENDINGS = [
  { ending: "completion", report: "complete_job/graphile_worker", error: undefined },
  { ending: "failure", report: "fail_job/graphile_worker", error: "fails by design" },
] as const;

/** A worker told to stop while it has a job, whose end then gets no further than the line, until `decide` is called. */
async function stopWithAnEndOnItsWay(
  { report, error }: (typeof ENDINGS)[number],
  options: StockOptions,
) {
  const queue = await makeStockQueue();
  const line = await openLine(queue.url);
  const worker = await startStockWorker(line.address, options);
  const jobId = await queue.addJob("hold");
  await worker.untilTold("holds", { jobId });
  const lockedBy = (await queue.job(jobId))?.locked_by;
  const { promise: decision, resolve: decide } = Promise.withResolvers<Verdict>();
  const held = line.watch({ direction: "upstream", match: report }, () => decision);
  worker.child.kill("SIGTERM");
  await worker.untilTold("pool:gracefulShutdown");
  worker.finish(jobId, error);
  await worker.untilTold("job:complete", { jobId });
  return { queue, held, decide, worker, jobId, lockedBy };
}

test.each(ENDINGS)(
  "on default settings SIGTERM ends the worker before the $ending has arrived, and the ended job stays locked",
  async (ending) => {
    const { queue, decide, worker, jobId, lockedBy } = await stopWithAnEndOnItsWay(ending, {});
    expect(await worker.ended).toEqual({ code: null, signal: "SIGTERM" });
    decide("cut");
    expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy, attempts: 1 });
  },
);

test.each(ENDINGS)(
  "with both batch delays 0 a stop waits for the $ending and leaves nothing locked",
  async (ending) => {
    const { queue, held, decide, worker, jobId, lockedBy } = await stopWithAnEndOnItsWay(ending, {
      worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 },
    });
    await until("the report is on its way", async () => held.count === 1);
    await worker.untilTold("pool:listen:release");
    expect(await queue.job(jobId)).toMatchObject({ locked_by: lockedBy });
    expect(worker.isAlive()).toBe(true);
    decide("forward");
    await worker.ended;
    expect((await queue.job(jobId))?.locked_by ?? null).toBeNull();
  },
);
