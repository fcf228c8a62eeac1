import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasCode } from "../../../src/ops/embedded/hasCode.ts";
import { openClient } from "../../helpers/openClient.ts";
import { until } from "../../helpers/until.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { expectAllWell, workerOf, workGoesOn } from "./work.ts";

// Sessions of somebody else's take every connection there is, those of the worker too; only its heartbeat's is left.

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(1, 71, { settings: { max_connections: "40" } });
}, 120_000);
afterAll(() => stage?.close());

/** Postgres's SQLSTATE too_many_connections. */
const FULL = "53300";

/** Takes whatever connections are free. */
async function takeAll(url: string): Promise<pg.Client[]> {
  const taken: pg.Client[] = [];
  for (;;) {
    const client = new pg.Client({ connectionString: url, application_name: "hog" });
    client.on("error", () => {});
    try {
      await client.connect();
      taken.push(client);
    } catch (error) {
      if (!hasCode(error, FULL)) throw error;
      return taken;
    }
  }
}

test("while others have every connection the worker's heart beats on, and when they leave the same worker goes on", {
  timeout: 180_000,
}, async () => {
  const { worker } = workerOf(stage);
  await workGoesOn(stage.db, worker.pid);
  // The superuser's connections are kept for him.
  const admin = await openClient(stage.db.adminUrl);
  const hogs: pg.Client[] = [];
  const beatenFor = async () => {
    const { rows } = await admin.query<{ beat_at: Date }>(
      "select beat_at from bookpost_private.workers where process_id = $1",
      [worker.pid],
    );
    return rows[0]?.beat_at.getTime() ?? 0;
  };
  try {
    await until("the worker has no connection but its heartbeat's", async () => {
      hogs.push(...(await takeAll(stage.db.url)));
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name in ('bookpost queue', 'bookpost worker', 'bookpost housekeeping')`,
      );
      hogs.push(...(await takeAll(stage.db.url)));
      const { rows } = await admin.query(
        "select from pg_stat_activity where application_name like 'bookpost %' and application_name <> 'bookpost heartbeat'",
      );
      return rows.length === 0;
    });
    const from = await beatenFor();
    // Longer than a worker may be silent and live (bookpost_private.dead_after), by its own beats.
    await worker.untilReady("it beats on", async () => (await beatenFor()) - from > 7_000);
    expect(worker.output()).toMatch(/remaining connection slots|too many clients/);
  } finally {
    await Promise.all(hogs.map((client) => client.end()));
  }
  const seconds = await workGoesOn(stage.db, worker.pid);
  await reportRecovery({ point: "every connection taken, and given back", seconds: [seconds] });
  expect(workerOf(stage).worker.pid).toBe(worker.pid);
});

test("and nothing was lost or told twice by any of it", { timeout: 240_000 }, async () => {
  await expectAllWell(stage);
});
