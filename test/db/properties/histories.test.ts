import { test } from "vitest";
import { rolledBack } from "../../helpers/database.ts";
import { runCount } from "../../helpers/runCount.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { historyProperties, holds } from "./histories.ts";

// RUNS: how many histories for each property (480: some 4 seconds each). What a failure prints repeats it:
// RUNS=100000 SEED=… npx vitest run test/db/properties/histories.test.ts
const RUNS = runCount(72, 480);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

const db = testDatabase();

test.each(historyProperties)(
  "$name",
  async (property) => {
    await holds(await rolledBack(db), property, { runs: RUNS, seed: SEED });
  },
  // A history takes about 5 ms; only a hang is to fail.
  60_000 + RUNS * 100,
);
