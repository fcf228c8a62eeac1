import { expect, test } from "vitest";
import { makeDue } from "../../helpers/ageing.ts";
import type { TestDatabase } from "../../helpers/template.ts";
import { until } from "../../helpers/until.ts";
import { openScene } from "../processes/scene.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { trackNumber, untilLookedUp, watchSchedule } from "./schedule.ts";

// Where the crontab does not do it, the sweep asks for a dispatch by the database's clock.

const HOUR_MS = 3_600_000;

/** So long ago that the sweep does not wait for the crontab any more (65 s). */
const SILENT_SECONDS = 66;

async function ageDispatch({ pool }: TestDatabase, by: string): Promise<void> {
  await pool.query(
    "update bookpost_private.dispatch_clock set dispatched_at = dispatched_at - $1::interval",
    [by],
  );
}

test("where all workers have the wrong time, what is due is dispatched once, a little more than a minute after the last dispatch", {
  timeout: 120_000,
}, async () => {
  const scene = await openScene();
  await Promise.all([
    scene.start({ clockShiftMs: HOUR_MS }),
    scene.start({ clockShiftMs: -24 * HOUR_MS }),
  ]);
  const parcelId = await trackNumber(scene, 1);
  const schedule = await watchSchedule(scene.db);
  await ageDispatch(scene.db, `${SILENT_SECONDS} seconds`);
  await makeDue(scene.db.pool, parcelId);
  const at = performance.now();
  await untilLookedUp(scene.db, [parcelId], 2);
  await reportRecovery({
    point: "the last dispatch, by workers that all have the wrong time",
    seconds: [SILENT_SECONDS + (performance.now() - at) / 1_000],
    promisedSeconds: 70,
  });
  expect(await schedule.slots()).toEqual([]);
  expect(await schedule.lateDispatches()).toBe(1);
  expect(await schedule.bookmarksAhead()).toEqual([]);
  expect(await scene.finish()).toEqual({});
});

test("a bookmark and a job that a fast clock has put an hour ahead are repaired, and what is due is dispatched, within a minute", {
  timeout: 120_000,
}, async () => {
  const scene = await openScene();
  await scene.start();
  const parcelId = await trackNumber(scene, 2);
  // As a worker of graphile-worker's own, without our guard, leaves them.
  await scene.db.pool.query(`
    with ahead as (select date_trunc('minute', clock_timestamp()) + interval '1 hour' as at)
    select graphile_worker.add_job('dispatch', run_at => ahead.at, job_key => 'dispatch', max_attempts => 3) from ahead;
    update graphile_worker._private_known_crontabs
      set last_execution = date_trunc('minute', clock_timestamp()) + interval '1 hour' where identifier = 'dispatch';
  `);
  await makeDue(scene.db.pool, parcelId);
  const at = performance.now();
  await untilLookedUp(scene.db, [parcelId], 2);
  await until("neither lies in the future", async () => {
    const { rowCount } = await scene.db.pool.query(
      `select from graphile_worker._private_known_crontabs where last_execution > clock_timestamp()
       union all select from graphile_worker.jobs where key = 'dispatch' and run_at > clock_timestamp()`,
    );
    return rowCount === 0;
  });
  await reportRecovery({
    point: "a bookmark an hour ahead",
    seconds: [(performance.now() - at) / 1_000],
    promisedSeconds: 60,
  });
  expect(await scene.finish()).toEqual({});
});

test("after three hours without a worker there is one dispatch for all that was missed", {
  timeout: 120_000,
}, async () => {
  const scene = await openScene();
  const first = await scene.start();
  const parcelIds = [await trackNumber(scene, 3), await trackNumber(scene, 4)];
  expect(await first.stop()).toMatchObject({ code: 0 });
  await scene.db.pool.query(`
    update graphile_worker._private_known_crontabs
      set known_since = known_since - interval '4 hours', last_execution = date_trunc('minute', clock_timestamp()) - interval '3 hours';
    delete from graphile_worker._private_jobs j using graphile_worker._private_tasks t
      where t.id = j.task_id and t.identifier = 'dispatch';
  `);
  await ageDispatch(scene.db, "3 hours");
  await makeDue(scene.db.pool, ...parcelIds);
  const schedule = await watchSchedule(scene.db);

  await scene.start();
  await untilLookedUp(scene.db, parcelIds, 2);
  // What the crontab itself does meanwhile is of this minute; where its moment comes first, it is the one.
  expect(await schedule.wrongSlots()).toEqual([]);
  const slots = await schedule.slots();
  const late = await schedule.lateDispatches();
  expect([0, 1]).toContain(late);
  expect(await schedule.dispatches()).toBe(late + slots.length);
  expect(await scene.finish()).toEqual({});
});
