import { EventEmitter } from "node:events";
import type { WorkerEvents, WorkerPool } from "graphile-worker";
import { expect, test } from "vitest";
import { followJobs } from "../../src/ops/jobsInHand.ts";

/** Follows pool "a"; `pass` lets milliseconds go by. */
function following() {
  const events = new EventEmitter();
  let now = 0;
  const { ids, isAtWork, stop } = followJobs(
    events as unknown as WorkerEvents,
    { id: "a" } as WorkerPool,
    () => now,
  );
  const job = (id: number, pool = "a") => ({ id: String(id), locked_by: pool });
  return {
    ids,
    isAtWork,
    stop,
    foundNone: () => events.emit("worker:getJob:empty", {}),
    pass: (ms: number) => {
      now += ms;
    },
    fetched: (ids: number[], pool?: string) =>
      events.emit("localQueue:getJobs:complete", { jobs: ids.map((id) => job(id, pool)) }),
    returned: (ids: number[], pool?: string) =>
      events.emit("localQueue:returnJobs", { jobs: ids.map((id) => job(id, pool)) }),
    started: (id: number, pool?: string) => events.emit("job:start", { job: job(id, pool) }),
    ended: (id: number, pool?: string) => events.emit("job:complete", { job: job(id, pool) }),
  };
}

const AN_HOUR = 3_600_000;

test("what was fetched and not begun is in hand, for as long as it takes", () => {
  const pool = following();
  pool.fetched([1, 2]);
  pool.pass(AN_HOUR);
  expect(pool.ids()).toEqual(["1", "2"]);
});

test("what runs is in hand, whether or not its fetch was seen", () => {
  const pool = following();
  pool.fetched([1]);
  pool.started(1);
  pool.started(2);
  pool.pass(AN_HOUR);
  expect(pool.ids()).toEqual(["1", "2"]);
});

test.each(["ended", "returned"] as const)(
  "what has %s is in hand for ten seconds more, and then gone",
  (how) => {
    const pool = following();
    pool.fetched([1, 2]);
    if (how === "ended") pool.ended(1);
    else pool.returned([1]);
    pool.pass(9_999);
    expect(pool.ids()).toEqual(["1", "2"]);
    pool.pass(1);
    expect(pool.ids()).toEqual(["2"]);
  },
);

test("one that is fetched again after its end is in hand again, whatever had begun to run out", () => {
  const pool = following();
  pool.started(1);
  pool.ended(1);
  pool.pass(5_000);
  pool.fetched([1]);
  pool.pass(AN_HOUR);
  expect(pool.ids()).toEqual(["1"]);
});

test("another pool's jobs in the same process are not in hand", () => {
  const pool = following();
  pool.fetched([1], "b");
  pool.started(2, "b");
  pool.ended(3, "b");
  pool.returned([4], "b");
  expect(pool.ids()).toEqual([]);
});

test("another pool's end of a job of the same id does not end ours", () => {
  const pool = following();
  pool.started(1);
  pool.ended(1, "b");
  pool.pass(AN_HOUR);
  expect(pool.ids()).toEqual(["1"]);
});

test("once stopped it hears nothing more", () => {
  const pool = following();
  pool.started(1);
  pool.stop();
  pool.started(2);
  pool.fetched([3]);
  expect(pool.ids()).toEqual(["1"]);
});

test("who has just begun is at work, and at the next question only if it could ask for jobs since", () => {
  const pool = following();
  expect([pool.isAtWork(), pool.isAtWork()]).toEqual([true, false]);
  pool.fetched([]);
  expect([pool.isAtWork(), pool.isAtWork()]).toEqual([true, false]);
  pool.foundNone();
  expect([pool.isAtWork(), pool.isAtWork()]).toEqual([true, false]);
});

test("who has a job is at work for as long as it takes, and not because of one that has ended", () => {
  const pool = following();
  pool.fetched([1]);
  for (let i = 0; i < 3; i++) expect(pool.isAtWork()).toBe(true);
  pool.ended(1);
  expect(pool.ids()).toEqual(["1"]);
  expect(pool.isAtWork()).toBe(false);
});
