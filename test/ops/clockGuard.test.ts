import { EventEmitter } from "node:events";
import type { WorkerEvents } from "graphile-worker";
import { expect, test } from "vitest";
import { guardCrontab } from "../../src/ops/clockGuard.ts";

/** A guarded crontab whose clock is ahead by `aheadMs`, which a test may change; what a minute's schedule becomes. */
function guarded() {
  const events = new EventEmitter();
  const clock = { aheadMs: null as number | null };
  const warnings: string[] = [];
  const stop = guardCrontab(
    events as unknown as WorkerEvents,
    { note() {}, aheadMs: () => clock.aheadMs },
    (sentence) => warnings.push(sentence),
  );
  return {
    warnings,
    stop,
    /** As the queue does it: listeners are called, then what is left of the list is written down. */
    schedule(aheadMs: number | null): string[] {
      clock.aheadMs = aheadMs;
      const jobsAndIdentifiers = [{ identifier: "dispatch" }, { identifier: "maintain" }];
      events.emit("cron:schedule", { jobsAndIdentifiers });
      return jobsAndIdentifiers.map(({ identifier }) => identifier);
    },
  };
}

test.each([0, 4_999, 5_000, -5_000])("a clock that is %i ms ahead does the crontab", (aheadMs) => {
  const { schedule, warnings } = guarded();
  expect(schedule(aheadMs)).toEqual(["dispatch", "maintain"]);
  expect(warnings).toEqual([]);
});

test.each([
  [5_001, /clock is 5 s ahead of the database's/],
  [3_600_000, /clock is 3600 s ahead of the database's/],
  [-86_400_000, /clock is 86400 s behind the database's/],
  [null, /does not know the database's clock yet/],
])(
  "a clock that is %s ms ahead leaves the crontab to others, and says why",
  (aheadMs, sentence) => {
    const { schedule, warnings } = guarded();
    expect(schedule(aheadMs)).toEqual([]);
    expect(warnings).toEqual([expect.stringMatching(sentence)]);
  },
);

test("it warns once for each change, and does the crontab again as soon as the clock is right", () => {
  const { schedule, warnings } = guarded();
  for (let minute = 0; minute < 3; minute++) expect(schedule(60_000)).toEqual([]);
  expect(warnings).toHaveLength(1);
  expect(schedule(0)).toEqual(["dispatch", "maintain"]);
  expect(warnings).toHaveLength(1);
  expect(schedule(60_000)).toEqual([]);
  expect(schedule(60_000)).toEqual([]);
  expect(warnings).toHaveLength(2);
});

test("once stopped it leaves the crontab alone", () => {
  const { schedule, stop } = guarded();
  stop();
  expect(schedule(3_600_000)).toEqual(["dispatch", "maintain"]);
});
