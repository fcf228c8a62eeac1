import { expect, test } from "vitest";
import { one } from "../helpers/one.ts";
import { makeStockQueue, type StockQueue } from "../helpers/stock/queue.ts";
import { startStockWorker } from "../helpers/stock/startStockWorker.ts";

// Cron slots are told by the worker's clock and remembered in one bookmark that all workers share.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Chosen: time enough for a process to start on a busy machine. A start that takes longer waits for the next minute. */
const START_MS = 4000;
const DEADLINE_MS = 80_000;

/** How slow a clock has to be, at most a minute, for a minute to begin soon by it: so that no test waits for one. */
const slowByUnderAMinute = () => -((Date.now() + START_MS) % MINUTE_MS);

/** A worker with a cron line for every minute, when it holds its first slot for dispatched. */
async function dispatchASlot(queue: StockQueue, clockShiftMs: number) {
  const worker = await startStockWorker(queue.url, {
    clockShiftMs,
    worker: { crontab: "* * * * * hold ?id=every_minute" },
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

/** All jobs, by the slot they are of. A job that runs stays: `hold` does not end by itself. */
async function jobsBySlot(queue: StockQueue) {
  const { rows } = await queue.pool.query(
    `select id, run_at, attempts, payload->'_cron'->>'ts' as slot
     from graphile_worker._private_jobs order by run_at`,
  );
  return rows;
}

test(
  "one host whose clock is an hour fast moves the shared bookmark and dates its jobs an hour ahead, and nobody else dispatches",
  async () => {
    const queue = await makeStockQueue();
    const fast = await dispatchASlot(queue, HOUR_MS + slowByUnderAMinute());
    const ofTheFast = {
      id: expect.any(String),
      slot: fast.slot.toISOString(),
      run_at: fast.slot,
      attempts: 0,
    };
    expect(await bookmarkOf(queue)).toEqual({ at: fast.slot, is_ahead: true });
    expect(await jobsBySlot(queue)).toEqual([ofTheFast]);

    const healthy = await dispatchASlot(queue, slowByUnderAMinute());
    await fast.worker.untilTold("worker:getJob:empty", { since: fast.worker.events.length });
    expect(healthy.slot.getTime()).toBeLessThan(fast.slot.getTime());
    // The healthy host holds its slot for dispatched; there is no job of it, and the one in the future has not run.
    expect(await jobsBySlot(queue)).toEqual([ofTheFast]);
    expect(await bookmarkOf(queue)).toEqual({ at: fast.slot, is_ahead: true });
  },
  3 * DEADLINE_MS,
);

test(
  "where no host is fast, the same worker dispatches its slot and runs it",
  async () => {
    const queue = await makeStockQueue();
    const { worker, slot } = await dispatchASlot(queue, slowByUnderAMinute());
    const { jobId } = await worker.untilTold("holds");
    expect((await bookmarkOf(queue)).at).toEqual(slot);
    expect(await jobsBySlot(queue)).toEqual([
      { id: jobId, slot: slot.toISOString(), run_at: slot, attempts: 1 },
    ]);
  },
  2 * DEADLINE_MS,
);
