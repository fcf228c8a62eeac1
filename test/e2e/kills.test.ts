import { expect, test } from "vitest";
import { runKills } from "../faults/kills/run.ts";

const POINTS = Number(process.env.KILL_POINTS ?? 25);
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

test(`struck at ${POINTS} points of the road, nothing is lost, nothing told twice, and all is quiet in the end (seed ${SEED})`, {
  timeout: 300_000,
}, async () => {
  const report = await runKills({ points: POINTS, seed: SEED });
  for (const [what, offenders] of Object.entries(report.offences))
    expect(offenders, `${what}; SEED=${SEED}`).toEqual([]);
  // It was no idle world that was struck.
  expect(report.statusChanges).toBeGreaterThan(POINTS);
  expect(report.notifications).toBeGreaterThan(POINTS);
});
