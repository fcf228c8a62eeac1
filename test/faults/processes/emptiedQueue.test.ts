import { expect, test } from "vitest";
import { makeDue } from "../../helpers/ageing.ts";
import { until } from "../../helpers/until.ts";
import { trackNumber, untilLookedUp } from "../clocks/schedule.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { openScene } from "./scene.ts";

// The queue's tables are emptied under workers that are at work. The parcels' own rows hold the truth.

const PARCELS = 20;

/** So much of the interval between two dispatches has passed when the queue is emptied. */
const PASSED_SECONDS = 45;

const CASES = [
  {
    what: "its jobs",
    tables: ["_private_jobs", "_private_job_queues"],
    endings: 0,
  },
  {
    // A worker knows its tasks by the numbers they had: it ends, and finds the new ones in its next life.
    what: "its jobs, tasks and bookmarks",
    tables: ["_private_jobs", "_private_job_queues", "_private_tasks", "_private_known_crontabs"],
    endings: 2,
  },
] as const;

test.each(CASES)(
  "when the queue loses $what, each due parcel is looked up after the next dispatch, and $endings workers have to be started again",
  { timeout: 180_000 },
  async ({ what, tables, endings }) => {
    const scene = await openScene();
    const { db, sandbox } = scene;
    const workers = await Promise.all([scene.supervise(), scene.supervise()]);
    const parcelIds = await Promise.all(
      Array.from({ length: PARCELS }, (_, i) => trackNumber(scene, i + 1)),
    );
    // NOTE: a worker notes its tasks' numbers within its first seconds, after the queue has; emptied in between, it would not
    // notice.
    await until("both have lived for ten seconds", async () => {
      const { rowCount } = await db.pool.query(
        "select from bookpost_private.workers where started_at < clock_timestamp() - interval '10 seconds'",
      );
      return rowCount === 2;
    });
    // Some are under way, the others wait in the queue.
    sandbox.fault({ mode: "slow", ms: 3_000, kind: "lookup" });
    await makeDue(db.pool, ...parcelIds);
    await db.pool.query("select bookpost_private.wake_dispatch()");
    await until("some are under way", async () => {
      const { rowCount } = await db.pool.query("select from bookpost_private.leases");
      return (rowCount ?? 0) > 0;
    });
    await db.pool.query(`truncate ${tables.map((table) => `graphile_worker.${table}`).join(", ")}`);
    await db.pool.query(
      `update bookpost_private.dispatch_clock set dispatched_at = clock_timestamp() - interval '${PASSED_SECONDS} seconds'`,
    );
    const at = performance.now();
    sandbox.clearFaults();
    // All fall due, whatever became of those that were under way.
    await makeDue(db.pool, ...parcelIds);
    await untilLookedUp(db, parcelIds, 2, 90_000);
    await reportRecovery({
      point: `the queue loses ${what}`,
      // The crontab's minute may come first; then it was less.
      seconds: [PASSED_SECONDS + (performance.now() - at) / 1_000],
      promisedSeconds: 70,
    });
    await until(
      "as many have ended",
      async () => workers.flatMap((worker) => worker.endings).length >= endings,
      30_000,
    );
    const ends = workers.flatMap((worker) => worker.endings);
    expect(ends.map(({ code }) => code)).toEqual(Array(endings).fill(1));
    for (const { output } of ends) expect(output).toMatch(/queue's tables were emptied/);
    expect(await scene.finish()).toEqual({});
  },
);
