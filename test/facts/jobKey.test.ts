import { expect, test } from "vitest";
import { makeStockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { until } from "../helpers/until.ts";

// A job_key says which waiting job to replace. It is neither a lock nor a memory.

test("a job added again under its key while it runs is run a second, third and fourth time beside the first", async () => {
  const queue = await makeStockQueue();
  const worker = await startStockWorker(queue.url, { worker: { concurrency: 4 } });
  const spec = { job_key: "book 1", payload: JSON.stringify({ book: 1 }) };
  const ids: string[] = [];
  for (let i = 0; i < 4; i += 1) {
    const jobId = await queue.addJob("hold", spec);
    await worker.untilTold("holds", { jobId });
    ids.push(jobId);
  }
  expect(new Set(ids).size).toBe(4);
  expect(worker.events.some(({ name }) => name === "job:complete")).toBe(false);
  for (const id of ids) worker.finish(id);
  for (const id of ids) await until("the job is done", async () => (await queue.job(id)) === null);
});

/** A queue in which a job with the key `book 1` has failed once and nobody runs it. */
async function failOnce(maxAttempts: number) {
  const queue = await makeStockQueue();
  const worker = await startStockWorker(queue.url);
  const jobId = await queue.addJob("fail", { job_key: "book 1", max_attempts: maxAttempts });
  const failed = await until("the failure is recorded", async () => {
    const job = await queue.job(jobId);
    return job?.attempts === 1 && job.locked_by === null ? job : null;
  });
  return { queue, worker, failed };
}

test.each(["replace", "preserve_run_at"])(
  "the mode %s forgets the attempts and the back-off of a job that has failed",
  async (mode) => {
    const { queue, worker, failed } = await failOnce(25);
    worker.child.kill("SIGKILL");
    await worker.ended;
    await queue.pool.query(
      "update graphile_worker._private_jobs set attempts = 5, run_at = now() + interval '1 hour' where id = $1",
      [failed.id],
    );
    const again = await queue.addJob("fail", {
      job_key: "book 1",
      job_key_mode: mode,
      max_attempts: 25,
    });
    expect(again).toBe(failed.id);
    const { rows } = await queue.pool.query(
      "select attempts, last_error, run_at <= now() as is_due from graphile_worker._private_jobs where id = $1",
      [again],
    );
    expect(rows).toEqual([{ attempts: 0, last_error: null, is_due: true }]);
  },
);

test("the mode unsafe_dedupe gives back a permanently failed job, which never runs again", async () => {
  const { queue, worker, failed } = await failOnce(1);
  expect(failed.is_available).toBe(false);
  const again = await queue.addJob("fail", { job_key: "book 1", job_key_mode: "unsafe_dedupe" });
  expect(again).toBe(failed.id);

  const later = await queue.addJob("quick");
  await worker.untilTold("job:success", { jobId: later });
  expect(worker.events.filter(({ jobId }) => jobId === failed.id)).toHaveLength(3);
  expect(await queue.job(failed.id)).toMatchObject({ attempts: 1, is_available: false });
});
