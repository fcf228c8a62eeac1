import { expect, test } from "vitest";
import { callsOverWindow } from "../../helpers/judgeCalls.ts";
import { until } from "../../helpers/until.ts";
import { openScene } from "../processes/scene.ts";
import { jumpClock } from "./jumpClock.ts";
import { trackNumber, untilLookedUp } from "./schedule.ts";

// The database's clock is set back and forth under workers at work.

/** By how much it is set forward; negative: back. */
const JUMPS = ["-1 hour", "1 hour", "-1 day", "1 day"] as const;

/** Of UPS, which this makes scarce. */
const LIMIT = { calls: 20, windowMs: 5_000 };

/** Parcels that nobody makes due but time. */
const PLANNED = 8;

test("after each jump of the database's clock, by an hour and a day, back and forth, no parcel waits longer than its interval, no budget is exceeded and no worker is taken for dead", {
  timeout: 300_000,
}, async () => {
  const scene = await openScene();
  const { db, sandbox } = scene;
  await db.pool.query(
    "insert into bookpost.carrier_limits (api_code, call_window, calls) values ('ups', $1, $2)",
    [`${LIMIT.windowMs} milliseconds`, LIMIT.calls],
  );
  await Promise.all([scene.start(), scene.start()]);
  await scene.move(41);
  // FedEx's: UPS is scarce.
  const planned = await Promise.all(
    Array.from({ length: PLANNED }, (_, i) => trackNumber(scene, 1001 + 2 * i)),
  );
  /** The longest that is still to wait, and the longest from a look to the next; in seconds. */
  const plan = async () => {
    const { rows } = await db.pool.query<{ wait: number; interval: number }>(
      `select max(extract(epoch from next_check_at - clock_timestamp()))::float8 as wait,
         max(extract(epoch from next_check_at - last_looked_at))::float8 as interval
       from bookpost_private.checks where parcel_id = any ($1)`,
      [planned],
    );
    const [row] = rows;
    if (!row) throw new Error("nothing is planned");
    return row;
  };
  const callsOfUps = () => sandbox.log.filter(({ api }) => api === "ups");
  const forward: number[] = [];
  let looks = 1;
  for (const by of JUMPS) {
    const { wait, interval } = await plan();
    await jumpClock(db, by);
    if (by.startsWith("-"))
      await until(
        `after ${by} none waits for longer than from look to look`,
        async () => (await plan()).wait <= interval,
        90_000,
      );
    else {
      forward.push(performance.now());
      // What had longer to wait than that has come nearer by it.
      if (wait > hoursOf(by) * 3_600) expect((await plan()).wait).toBeLessThan(wait);
      else {
        looks += 1;
        await untilLookedUp(db, planned, looks, 90_000);
      }
    }
    const made = callsOfUps().length;
    await until(
      `after ${by} UPS is asked on, more than a window's calls`,
      async () => callsOfUps().length > made + LIMIT.calls,
      90_000,
    );
  }
  expect(looks).toBeGreaterThan(1);
  // A jump forward is, for the database, time that has passed: windows begin anew.
  const parts = [0, ...forward].map((from, i) =>
    callsOfUps().filter(
      ({ monotonic }) => from <= monotonic && monotonic < (forward[i] ?? Infinity),
    ),
  );
  for (const part of parts) expect(callsOverWindow(part, LIMIT)).toEqual([]);
  const { rows: deaths } = await db.pool.query("select * from bookpost_private.worker_deaths");
  expect(deaths).toEqual([]);
  expect(await scene.finish({ byLog: false })).toEqual({});
});

function hoursOf(by: string): number {
  return Number.parseInt(by, 10) * (by.includes("day") ? 24 : 1);
}
