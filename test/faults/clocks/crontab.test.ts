import { expect, test } from "vitest";
import { until } from "../../helpers/until.ts";
import { openScene } from "../processes/scene.ts";
import { trackNumber, watchSchedule } from "./schedule.ts";

// The real crontab over two real minutes, on hosts of which some have the wrong time.

const HOUR_MS = 3_600_000;
const WRONG = [
  { by: "an hour ahead", clockShiftMs: HOUR_MS, says: /3600 s ahead of/ },
  { by: "an hour behind", clockShiftMs: -HOUR_MS, says: /3600 s behind/ },
  { by: "a day ahead", clockShiftMs: 24 * HOUR_MS, says: /86400 s ahead of/ },
];

const WARNING = /This host's clock is \d+ s (ahead of|behind) the database's/g;

test("of workers whose clocks are right, an hour ahead, an hour behind and a day ahead, the right ones alone do the crontab, once a minute", {
  timeout: 240_000,
}, async () => {
  const scene = await openScene();
  const schedule = await watchSchedule(scene.db);
  const [right, wrong] = await Promise.all([
    Promise.all([scene.start(), scene.start()]),
    Promise.all(WRONG.map(({ clockShiftMs }) => scene.start({ clockShiftMs }))),
  ]);
  await trackNumber(scene, 1);

  await until(
    "two minutes were dispatched",
    async () => (await schedule.slots()).length >= 2,
    190_000,
  );
  const { rows: ahead } = await scene.db.pool.query(
    "select round(extract(epoch from clock_ahead))::integer as seconds from bookpost_private.workers order by 1",
  );
  expect(ahead.map(({ seconds }) => seconds)).toEqual([-3600, 0, 0, 3600, 86_400]);
  expect(await scene.finish()).toEqual({});

  expect(await schedule.wrongSlots(), "of another time").toEqual([]);
  const slots = await schedule.slots();
  expect(new Set(slots).size, "a slot twice").toBe(slots.length);
  expect(await schedule.bookmarksAhead()).toEqual([]);
  for (const worker of right) {
    const { code, output } = await worker.stop();
    expect(code).toBe(0);
    expect(output).not.toMatch(WARNING);
  }
  for (const [i, worker] of wrong.entries()) {
    const { code, output } = await worker.stop();
    expect(code).toBe(0);
    expect(output).toMatch(WRONG[i]?.says ?? "");
    expect(output.match(WARNING)).toHaveLength(1);
  }
});
