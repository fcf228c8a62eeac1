import { expect, test } from "vitest";
import { one } from "../helpers/one.ts";
import { makeStockQueue, type StockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";

// F7: cron slots are told by the worker's clock and remembered in one bookmark that all workers share.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Chosen: time enough for a process to start on a busy machine. A start that takes longer waits for the next minute. */
const START_MS = 4000;
const DEADLINE_MS = 80_000;

/** A shift under a minute that makes a minute begin soon, so that no test waits for one. */
const toTheNextMinute = () => MINUTE_MS - ((Date.now() + START_MS) % MINUTE_MS);

/** A worker with a cron line for every minute, and the first slot that it holds for dispatched. */
async function dispatchASlot(queue: StockQueue, clockShiftMs: number) {
  const worker = await startStockWorker(queue.url, {
    clockShiftMs,
    worker: { crontab: "* * * * * quick ?id=every_minute" },
  });
  const { timestamp = 0 } = await worker.untilTold("cron:scheduled", {}, DEADLINE_MS);
  return { worker, slot: new Date(timestamp) };
}

const bookmarkOf = (queue: StockQueue) =>
  one<{ at: Date; is_ahead: boolean }>(
    queue.pool,
    `select last_execution as at, last_execution > now() + interval '58 minutes' as is_ahead
     from graphile_worker._private_known_crontabs where identifier = 'every_minute'`,
  );

test(
  "one host whose clock is an hour fast moves the shared bookmark and dates its jobs an hour ahead, and nobody else dispatches",
  async () => {
    const queue = await makeStockQueue();
    const fast = await dispatchASlot(queue, HOUR_MS + toTheNextMinute());
    expect(await bookmarkOf(queue)).toEqual({ at: fast.slot, is_ahead: true });
    const jobsOf = async () =>
      (
        await queue.pool.query(
          "select run_at, attempts, payload->'_cron'->>'ts' as slot from graphile_worker._private_jobs order by run_at",
        )
      ).rows;
    const ofTheFast = { run_at: fast.slot, attempts: 0, slot: fast.slot.toISOString() };
    expect(await jobsOf()).toEqual([ofTheFast]);

    const healthy = await dispatchASlot(queue, toTheNextMinute());
    expect(healthy.slot.getTime()).toBeLessThan(fast.slot.getTime());
    const since = fast.worker.events.length;
    await fast.worker.untilTold("worker:getJob:empty", { since });
    // The healthy host holds its slot for dispatched; there is no job of it, and the future one has not run.
    expect(await jobsOf()).toEqual([ofTheFast]);
    expect(await bookmarkOf(queue)).toEqual({ at: fast.slot, is_ahead: true });
  },
  3 * DEADLINE_MS,
);

test(
  "with no fast host about, the same worker dispatches its slot",
  async () => {
    const queue = await makeStockQueue();
    const { worker, slot } = await dispatchASlot(queue, toTheNextMinute());
    expect((await bookmarkOf(queue)).at).toEqual(slot);
    const { rows } = await queue.pool.query(
      "select payload->'_cron'->>'ts' as slot from graphile_worker._private_jobs",
    );
    const hasRun = worker.events.some(({ name }) => name === "job:start");
    // Its clock is up to a minute fast here: then the job waits for that.
    if (!hasRun) expect(rows).toEqual([{ slot: slot.toISOString() }]);
  },
  2 * DEADLINE_MS,
);
