import { expect, test } from "vitest";
import { runKills } from "../faults/kills/run.ts";

const POINTS = 25;
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

test("struck at 25 points of the road, a lookup loses nothing, tells nothing twice and leaves nothing stuck", {
  timeout: 300_000,
}, async () => {
  const report = await runKills({
    points: POINTS,
    seed: SEED,
    // As much as a strike needs: other tests want the machine, too.
    world: { live: 12, perTick: 4 },
  });
  for (const [what, offenders] of Object.entries(report.offences))
    expect(offenders, `${what}; SEED=${SEED}`).toEqual([]);
  // It was no idle world that was struck.
  expect(report.statusChanges).toBeGreaterThan(POINTS);
  expect(report.notifications).toBeGreaterThan(POINTS);
  expect(report.messages).toBeGreaterThan(report.notifications);
});
