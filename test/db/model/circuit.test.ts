import { expect, onTestFinished, test } from "vitest";
import { openLane } from "./lane.ts";
import { runHistories } from "./runHistories.ts";

const RUNS = Number(process.env.RUNS ?? 1000);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Histories at a time, each in a database of its own. */
const LANES = process.env.FC_PATH === undefined ? 3 : 1;

test(
  `over ${RUNS} random histories circuit, leases and budget do exactly what the model says`,
  async () => {
    const lanes = await Promise.all(Array.from({ length: LANES }, openLane));
    onTestFinished(async () => {
      await Promise.all(lanes.map((lane) => lane.close()));
    });
    let done = 0;
    const onRun = () => {
      done++;
      if (done % 5000 === 0) process.stderr.write(`${done} of ${RUNS} histories\n`);
    };
    const verdicts = await Promise.all(
      lanes.map((lane, i) =>
        runHistories(lane, {
          runs: Math.ceil(RUNS / LANES),
          seed: SEED + i,
          onRun,
          ...(process.env.FC_PATH === undefined ? {} : { path: process.env.FC_PATH }),
          ...(process.env.FC_REPLAY === undefined ? {} : { replayPath: process.env.FC_REPLAY }),
        }),
      ),
    );
    if (process.env.TALLY) {
      const sum = new Map<string, number>();
      for (const { happened } of verdicts)
        for (const [what, n] of happened) sum.set(what, (sum.get(what) ?? 0) + n);
      console.log(sum);
    }
    const [failure] = verdicts.flatMap((verdict) => verdict.failure ?? []);
    if (failure !== undefined) throw new Error(failure);
    expect(done).toBeGreaterThanOrEqual(RUNS);
  },
  60_000 + RUNS * 100,
);
