import { afterAll, beforeAll, expect, test } from "vitest";
import { openClient } from "../../helpers/openClient.ts";
import { until } from "../../helpers/until.ts";
import { POINTS } from "../kills/points.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { expectAllWell, workerOf, workGoesOn } from "./work.ts";

// Sessions that end under a worker: one, all of a pool, all there are. It is always the same worker that goes on.

let stage: Stage;
let processId: number;
beforeAll(async () => {
  stage = await openStage(1, 21);
  processId = workerOf(stage).worker.pid;
}, 120_000);
afterAll(() => stage?.close());

const LISTENS = "application_name = 'bookpost queue' and query like '%LISTEN \"jobs:insert\"%'";

async function listener(): Promise<number | null> {
  const [row] = await stage.box.query<{ pid: number }>(
    `select pid from pg_stat_activity where ${LISTENS}`,
  );
  return row?.pid ?? null;
}

test("a worker whose listening session is ended listens again", { timeout: 120_000 }, async () => {
  const before = await until("it listens", listener);
  expect(await stage.box.terminate(LISTENS)).toEqual([before]);
  const after = await until("it listens again", listener);
  expect(after).not.toBe(before);
  await workGoesOn(stage.db, processId);
});

test.each(Object.keys(POINTS))(
  "a session that is ended when %s costs nothing: the same worker goes on",
  { timeout: 120_000 },
  async (point) => {
    const place = POINTS[point];
    const { lane } = workerOf(stage);
    if (place === undefined) throw new Error(`there is no point "${point}"`);
    if (place === "carrier") {
      await until("a carrier is asked", async () => {
        const { rows } = await stage.db.pool.query("select from bookpost_private.leases");
        return rows.length > 0;
      });
      await stage.box.terminate("application_name = 'bookpost worker'");
    } else {
      const watch = lane.line.watch(place, async () => {
        await stage.box.terminate(`application_name = '${place.applicationName}'`);
        return "forward";
      });
      await watch.happened;
    }
    await workGoesOn(stage.db, processId);
  },
);

test.each(["queue", "worker", "housekeeping", "heartbeat"])(
  "when all sessions of the %s pool are ended at once, the pool lives on",
  { timeout: 120_000 },
  async (purpose) => {
    const ended = await stage.box.terminate(`application_name = 'bookpost ${purpose}'`);
    expect(ended.length).toBeGreaterThan(0);
    await until("the pool has sessions again", async () => {
      const rows = await stage.box.query(
        "select from pg_stat_activity where application_name = $1",
        [`bookpost ${purpose}`],
      );
      return rows.length > 0;
    });
    await workGoesOn(stage.db, processId);
  },
);

test("one of Postgres's processes is killed, all sessions end with it, and the same worker goes on within 5 seconds", {
  timeout: 120_000,
}, async () => {
  const seconds: number[] = [];
  for (let round = 0; round < 5; round++) {
    const bystander = await openClient(stage.box.adminUrl);
    const ended = new Promise((resolve) => bystander.once("end", resolve));
    const [victim] = await stage.box.query<{ pid: number }>(
      "select pid from pg_stat_activity where application_name = 'bookpost worker' limit 1",
    );
    if (!victim) continue;
    stage.box.killBackend(victim.pid);
    await ended;
    await stage.box.ready();
    seconds.push(await workGoesOn(stage.db, processId));
  }
  expect(seconds.length).toBeGreaterThan(0);
  await reportRecovery({
    point: "one of Postgres's processes killed",
    seconds,
    promisedSeconds: 5,
  });
});

test("and through all of it it was one worker, and nothing was lost or told twice", {
  timeout: 240_000,
}, async () => {
  expect(workerOf(stage).worker.pid).toBe(processId);
  await expectAllWell(stage);
});
