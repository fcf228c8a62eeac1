import { expect, onTestFinished, test } from "vitest";
import { runCount } from "../../helpers/runCount.ts";
import { openLane } from "./lane.ts";
import { runHistories } from "./runHistories.ts";

// RUNS: how many histories. SEED with what a failure prints as `path` and `replayPath` repeats it:
// SEED=… FC_PATH=… FC_REPLAY=… npx vitest run test/db/model/circuit.test.ts
const RUNS = runCount(99, 1000);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const { FC_PATH: path, FC_REPLAY: replayPath } = process.env;
/** Histories at a time, each in a database of its own. 3: measured; more are not faster on two cores. */
const LANES = path === undefined ? 3 : 1;

/** What a thousand histories have met at least once, or they prove little. */
const WORTH_MEETING = [
  ...["closed → open", "open → half_open", "half_open → open", "half_open → closed"],
  ...["open → closed", "at once", "permit", "busy", "closed", "not_due", "circuit_open"],
  ...["circuit_half_open", "not_before", "no_budget", "parked", "gone", "updated", "unchanged"],
  ...["not_found", "unavailable", "malformed", "rate_limited", "out_of_quota", "rejected", "local"],
];

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
          ...(path === undefined ? {} : { path }),
          ...(replayPath === undefined ? {} : { replayPath }),
        }),
      ),
    );
    const [failure] = verdicts.flatMap((verdict) => verdict.failure ?? []);
    if (failure !== undefined) throw new Error(failure);
    const happened = new Set(verdicts.flatMap((verdict) => [...verdict.happened.keys()]));
    if (RUNS >= 1000) expect(WORTH_MEETING.filter((what) => !happened.has(what))).toEqual([]);
  },
  // A history takes about 20 ms; only a hang is to fail.
  120_000 + RUNS * 200,
);
