import { expect, test } from "vitest";
import { createDatabaseClock } from "../../src/ops/databaseClock.ts";

/** A wall clock that goes as `performance.now()` does, from wherever it is set to. */
function wallClock(startMs: number) {
  let offset = startMs - performance.now();
  return {
    now: () => offset + performance.now(),
    set: (ms: number) => {
      offset = ms - performance.now();
    },
  };
}

const NOON = Date.UTC(2026, 5, 1, 12);

test("before the first heartbeat nothing is known", () => {
  expect(createDatabaseClock(() => NOON).aheadMs()).toBeNull();
});

test.each([
  ["right", 0],
  ["an hour ahead", 3_600_000],
  ["a second behind", -1_000],
])("a clock that is %s is told so", (_, ahead) => {
  const wall = wallClock(NOON + ahead);
  const clock = createDatabaseClock(wall.now);
  const at = performance.now();
  clock.note(NOON, at, at);
  expect(clock.aheadMs()).toBeCloseTo(ahead, -2);
});

test("of the time that an answer takes half counts for the way there", () => {
  const wall = wallClock(NOON);
  const clock = createDatabaseClock(wall.now);
  const at = performance.now();
  clock.note(NOON, at - 2_000, at + 2_000);
  expect(clock.aheadMs()).toBeCloseTo(0, -2);
  clock.note(NOON, at - 4_000, at);
  expect(clock.aheadMs()).toBeCloseTo(-2_000, -2);
});

test("a jump of the wall clock between two heartbeats is seen at once", () => {
  const wall = wallClock(NOON);
  const clock = createDatabaseClock(wall.now);
  const at = performance.now();
  clock.note(NOON, at, at);
  wall.set(NOON + 3_600_000);
  expect(clock.aheadMs()).toBeCloseTo(3_600_000, -2);
  wall.set(NOON - 86_400_000);
  expect(clock.aheadMs()).toBeCloseTo(-86_400_000, -2);
});

test("a jump of the database's clock is seen at the next heartbeat", () => {
  const wall = wallClock(NOON);
  const clock = createDatabaseClock(wall.now);
  const at = performance.now();
  clock.note(NOON, at, at);
  clock.note(NOON - 3_600_000, at, at);
  expect(clock.aheadMs()).toBeCloseTo(3_600_000, -2);
});
