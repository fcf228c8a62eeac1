import { test } from "vitest";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { runCount } from "../../helpers/runCount.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { everythingAtOnce } from "./everything.ts";

const db = testDatabase();

const STEPS = Number(process.env.STEPS ?? runCount(100, 260));
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

test(
  "eight connections doing everything at once: no deadlock, no surprise, and the books balance at the end",
  () => everythingAtOnce(db, { seed: SEED, steps: STEPS }),
  // 260 steps take seconds; only a hang is to fail.
  30_000 + STEPS * 400,
);

testThatAllIsQuiet(db);
