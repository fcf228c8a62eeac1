import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { makePause, sabotage } from "../../helpers/sabotage.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { type Lane, openLane } from "../model/lane.ts";
import { runHistories } from "../model/runHistories.ts";
import { modelSaboteurs } from "../model/saboteurs.ts";
import { everythingAtOnce } from "./everything.ts";
import { raceSaboteurs } from "./raceSaboteurs.ts";

// The tests of races and the model prove something only if they go red where the SQL is wrong. Here it is made wrong.

const db = testDatabase();
let lane: Lane;

beforeAll(async () => {
  lane = await openLane();
  // A deadlock is found before record_lookups gives up waiting (1 second, as long as Postgres's default), so that it is called one.
  const admin = new pg.Client(db.adminUrl);
  await admin.connect();
  const { rows } = await admin.query<{ name: string }>("select current_database() as name");
  await admin.query(`alter database ${rows[0]?.name} set deadlock_timeout = '100ms'`);
  await admin.end();
});
afterAll(() => lane.close());

/** "40P01 deadlock detected", or null where it passed. */
async function failureOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    const { code = "", message } = error as { code?: string; message: string };
    return `${code} ${message}`;
  }
}

test.each(raceSaboteurs)(
  "caught by an interleaving: $name",
  async ({ pause, edits, scenario, caught }) => {
    await makePause(db.pool);
    const mend = await sabotage(db.pool, pause ? [pause] : []);
    onTestFinished(mend);
    expect(await failureOf(scenario(db)), "with nothing wrong but a pause").toBeNull();
    const undo = await sabotage(db.pool, edits);
    const failure = await failureOf(scenario(db));
    await undo();
    expect(failure).toMatch(caught);
  },
);

// The same histories each time, so that each is caught each time: after 1 to 150 of them when this was written.
const SEED = 1;
const RUNS = 1500;

test.each(modelSaboteurs)(
  "caught by the model: $name",
  async ({ edits, seed = SEED, caught }) => {
    const undo = await sabotage(lane.db.pool, edits);
    const { failure } = await runHistories(lane, { runs: RUNS, seed, isShrunk: false });
    await undo();
    expect(failure).toMatch(caught);
  },
  // All of them, on a busy machine.
  RUNS * 100,
);

test("caught by no model: nothing is wrong", async () => {
  const { failure } = await runHistories(lane, { runs: 150, seed: SEED });
  expect(failure).toBeNull();
});

test("caught by eight connections that do everything at once: budgets locked in another order", async () => {
  const undo = await sabotage(db.pool, [
    {
      function: "bookpost_private.acquire_lookups",
      from: "order by b.api_code\n  for no key update;",
      to: "order by b.api_code desc\n  for no key update;",
    },
  ]);
  // Here how they meet is up to chance: about half of the rounds see it.
  let failure: string | null = null;
  for (let round = 0; failure === null && round < 15; round++)
    failure = await failureOf(everythingAtOnce(db, { seed: SEED + round, steps: 150 }));
  await undo();
  expect(failure).toMatch(/deadlock detected/);
}, 120_000);

test("a saboteur whose text is not found is no saboteur", async () => {
  const edits = [{ function: "bookpost_private.claim_probe", from: "no such text", to: "" }];
  await expect(sabotage(db.pool, edits)).rejects.toThrow("0 times, not once");
});
