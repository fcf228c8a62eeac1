import { expect, test } from "vitest";
import { makeStockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";
import { until } from "../helpers/until.ts";

// A crash leaves jobs locked for four hours, a number that no setting changes.

test("the job of a worker killed with SIGKILL stays locked by it until four hours have passed", async () => {
  const queue = await makeStockQueue();
  const killed = await startStockWorker(queue.url);
  const lost = await queue.addJob("hold");
  await killed.untilTold("holds", { jobId: lost });
  const lockedBy = (await queue.job(lost))?.locked_by;
  killed.child.kill("SIGKILL");
  await killed.ended;

  const often = { minResetLockedInterval: 50, maxResetLockedInterval: 50 };
  const healthy = await startStockWorker(queue.url, { worker: often });
  const age = async (age: string) => {
    await queue.pool.query(
      "update graphile_worker._private_jobs set locked_at = now() - $2::interval where id = $1",
      [lost, age],
    );
    // Two: the first may have begun before the lock was aged.
    const swept = healthy.events.length;
    await healthy.untilTold("resetLocked:success", { since: swept });
    await healthy.untilTold("resetLocked:success", { since: healthy.events.length });
  };
  await age("3 hours 59 minutes");
  const later = await queue.addJob("quick");
  await healthy.untilTold("job:success", { jobId: later });
  expect(lockedBy).toMatch(/^pool-/);
  expect(await queue.job(lost)).toMatchObject({ locked_by: lockedBy, attempts: 1 });

  await age("4 hours 1 minute");
  await healthy.untilTold("holds", { jobId: lost });
});

test("force_unlock_workers gives a killed worker's job to the next one that asks", async () => {
  const queue = await makeStockQueue();
  const killed = await startStockWorker(queue.url);
  const lost = await queue.addJob("hold");
  await killed.untilTold("holds", { jobId: lost });
  killed.child.kill("SIGKILL");
  await killed.ended;
  const healthy = await startStockWorker(queue.url);
  const later = await queue.addJob("quick");
  await healthy.untilTold("job:success", { jobId: later });

  await queue.pool.query("select graphile_worker.force_unlock_workers(array[$1])", [
    (await queue.job(lost))?.locked_by,
  ]);
  await healthy.untilTold("holds", { jobId: lost });
  healthy.finish(lost);
  await until("the job is done", async () => (await queue.job(lost)) === null);
});
