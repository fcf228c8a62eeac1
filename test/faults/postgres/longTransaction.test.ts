import { afterAll, beforeAll, expect, test } from "vitest";
import { checkTransactions } from "../../../src/cli/checkTransactions.ts";
import { readHealth } from "../../../src/sql/readHealth.ts";
import { openClient } from "../../helpers/openClient.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { expectAllWell, workerOf, workGoesOn } from "./work.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(1, 111);
}, 120_000);
afterAll(() => stage?.close());

test("beside a transaction that stays open nobody waits, and doctor tells of it once it is old", {
  timeout: 240_000,
}, async () => {
  const { worker } = workerOf(stage);
  const idle = await openClient(stage.db.url);
  await idle.query("set application_name = 'a forgotten report'");
  await idle.query("begin isolation level repeatable read");
  const { rows } = await idle.query(
    "select pg_backend_pid() as pid, count(*) from bookpost.parcels, bookpost_private.checks, graphile_worker.jobs",
  );
  const { pid } = rows[0];
  for (let round = 0; round < 20; round++) {
    await workGoesOn(stage.db, worker.pid);
    const waiting = await stage.box.query(
      "select pid, query from pg_stat_activity where $1 = any (pg_blocking_pids(pid))",
      [pid],
    );
    expect(waiting).toEqual([]);
  }

  const health = await readHealth(stage.db.pool);
  expect(health.oldestTransaction).toMatchObject({
    processId: pid,
    application: "a forgotten report",
  });
  expect(checkTransactions(health)).toEqual([]);
  const age = health.oldestTransaction?.ageMs ?? 0;
  expect(checkTransactions(health, age)).toMatchObject([
    { name: "transactions", state: "wrong", wayOut: expect.stringContaining(String(pid)) },
  ]);

  await idle.query("rollback");
  await expectAllWell(stage);
});
