import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lane } from "../../harness/lane.ts";
import { until } from "../../helpers/until.ts";
import { POINTS } from "../kills/points.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { type Held, heldBy, isTakenOver, openStage, type Stage } from "./stage.ts";

// From `kill -9` of a worker to the moment when all that it had under way runs elsewhere.

/** The places at which a worker has something under way that others have to take over. */
const KILL_POINTS = [
  "jobs are given",
  "permits are asked for",
  "permits are given",
  "the carrier is asked",
  "the end is written",
  "the end is written down",
  "the job is ended",
] as const;

const ROUNDS = 25;

let stage: Stage;
beforeAll(async () => {
  // One for each point, and one that nobody kills.
  stage = await openStage(KILL_POINTS.length + 1, 1);
}, 120_000);
afterAll(() => stage?.close());

interface Kill {
  readonly held: Held;
  readonly at: number;
}

/** Kills the lane's worker when it comes to the point, and tells what it had in hand. */
async function killAt(lane: Lane, point: string): Promise<Kill> {
  const place = POINTS[point];
  if (place === undefined) throw new Error(`there is no point "${point}"`);
  /** Null: it is not the time. One that the others hold for dead has nothing that could be found elsewhere. */
  const strike = async (): Promise<Kill | null> => {
    const worker = lane.worker();
    const held = worker === null ? null : await heldBy(stage.db, worker.pid);
    if (worker === null || held === null) return null;
    if (place === "carrier" && held.lookups.length === 0) return null;
    worker.kill("SIGKILL");
    return { held, at: performance.now() };
  };
  return until(
    `the worker comes to this point: ${point}`,
    async () => {
      if (place === "carrier") return strike();
      let kill: Kill | null = null;
      const watch = lane.line.watch(place, async () => {
        kill = await strike();
        return kill === null ? "forward" : "cut";
      });
      await watch.happened;
      return kill;
    },
    240_000,
  );
}

test("what a killed worker had under way, wherever it was struck, runs elsewhere within 10 seconds", {
  timeout: 900_000,
}, async () => {
  const seconds = new Map<string, number[]>(KILL_POINTS.map((point) => [point, []]));
  for (let round = 0; round < ROUNDS; round++) {
    await until(
      "all live",
      async () => stage.lanes.every((lane) => lane.worker() !== null),
      240_000,
    );
    await Promise.all(
      KILL_POINTS.map(async (point, i) => {
        const { held, at } = await killAt(stage.lanes[i] as Lane, point);
        await until(
          `what it had at "${point}" runs elsewhere`,
          () => isTakenOver(stage, held, at),
          240_000,
        );
        seconds.get(point)?.push((performance.now() - at) / 1_000);
      }),
    );
  }
  for (const [point, times] of seconds) {
    expect(times).toHaveLength(ROUNDS);
    await reportRecovery({
      point: `a worker killed when ${point}`,
      seconds: times,
      promisedSeconds: 10,
    });
  }
  for (const [what, offenders] of Object.entries(await stage.finish()))
    expect(offenders, what).toEqual([]);
});
