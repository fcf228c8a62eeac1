import type pg from "pg";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createDatabaseClock } from "../../src/ops/databaseClock.ts";
import { startHeartbeat } from "../../src/ops/heartbeat.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A worker that beats over stand-ins for its pools; `passes` lets seconds go by. */
function beating() {
  const world = { isReachable: true, isAtWork: true, taskId: 1 };
  const asked: string[] = [];
  const lost: string[] = [];
  const ask = async (sql: string) => {
    if (!world.isReachable) throw new Error("Postgres is away");
    asked.push(/bookpost_private\.(\w+)/.exec(sql)?.[1] ?? "");
    return { rows: [{ clockMs: 0, count: 0, id: world.taskId }] };
  };
  const pool = { query: ask } as unknown as pg.Pool;
  const heartbeat = startHeartbeat({
    pool,
    sweepPool: pool,
    workerId: "a worker",
    apiFingerprints: {},
    channels: [],
    clock: createDatabaseClock(),
    holdings: { jobIds: () => [], lookupIds: () => [], isAtWork: () => world.isAtWork },
    onError: () => {},
    onLost: ({ message }) => lost.push(message),
  });
  const counts = (name: string) => asked.filter((what) => what === name).length;
  return {
    world,
    lost,
    counts,
    stop: heartbeat.stop,
    async passes(seconds: number) {
      for (let i = 0; i < seconds; i++) await vi.advanceTimersByTimeAsync(1_000);
    },
  };
}

test("it beats and sweeps every second, looks for strays every fifth, and signs off at the end", async () => {
  const { passes, counts, stop } = beating();
  await passes(10);
  expect([counts("beat"), counts("sweep"), counts("free_strays")]).toEqual([11, 10, 2]);
  await stop();
  expect(counts("workers")).toBe(1);
  await passes(5);
  expect(counts("beat")).toBe(11);
});

test("a worker that has not reached Postgres for 15 seconds is lost, and hears of it once", async () => {
  const { world, passes, lost } = beating();
  await passes(3);
  world.isReachable = false;
  await passes(15);
  expect(lost).toEqual([]);
  await passes(10);
  expect(lost).toEqual([expect.stringContaining("Postgres has not been reached for 15 seconds")]);
});

test("one beat that arrives in between, and the 15 seconds begin anew", async () => {
  const { world, passes, lost } = beating();
  for (let i = 0; i < 3; i++) {
    world.isReachable = false;
    await passes(14);
    world.isReachable = true;
    await passes(1);
  }
  expect(lost).toEqual([]);
});

test("who was frozen for a minute and finds Postgres well is not lost", async () => {
  const { passes, lost } = beating();
  await passes(3);
  const frozen = performance.now() + 60_000;
  vi.spyOn(performance, "now").mockReturnValue(frozen);
  await passes(3);
  expect(lost).toEqual([]);
});

test("a worker with room that has not been able to ask for jobs for 15 seconds is lost", async () => {
  const { world, passes, lost } = beating();
  world.isAtWork = false;
  await passes(14);
  world.isAtWork = true;
  await passes(1);
  world.isAtWork = false;
  await passes(14);
  expect(lost).toEqual([]);
  await passes(1);
  expect(lost).toEqual([
    expect.stringContaining("queue has not been asked for jobs for 15 seconds"),
  ]);
});

test("a worker under which the queue's tables were emptied is lost", async () => {
  const { world, passes, lost } = beating();
  await passes(6);
  expect(lost).toEqual([]);
  world.taskId = 2;
  await passes(5);
  expect(lost).toEqual([expect.stringContaining("queue's tables were emptied")]);
});
