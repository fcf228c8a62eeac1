import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openClient } from "../../helpers/openClient.ts";
import { until } from "../../helpers/until.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { expectAllWell, workerOf, workGoesOn } from "./work.ts";

// Whoever may connect may notify: Postgres knows no right to it (its manual, NOTIFY). The API's login has to connect.

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(1, 101);
}, 120_000);
afterAll(() => stage?.close());

test.each([
  ["a count of jobs that is not true", "jobs:insert", '{"count":1000000000}'],
  ["what is no JSON", "jobs:insert", "{"],
  ["a number", "worker:migrate", "7"],
  ["a change that breaks nothing", "worker:migrate", '{"breaking":false}'],
])("%s in a notification from the API's login harms no worker", async (_, channel, payload) => {
  const { worker } = workerOf(stage);
  const api = await openClient(stage.db.apiUrl);
  await api.query("select pg_notify($1, $2)", [channel, payload]);
  await workGoesOn(stage.db, worker.pid);
  expect(workerOf(stage).worker.pid).toBe(worker.pid);
});

test("told by the API's login that the queue's schema has changed, a worker ends with 57, and its next life goes on", {
  timeout: 120_000,
}, async () => {
  const { worker } = workerOf(stage);
  const api = await openClient(stage.db.apiUrl);
  const exit = once(worker.child, "exit");
  const at = performance.now();
  await api.query("select pg_notify('worker:migrate', $1)", [
    JSON.stringify({ migrationNumber: 9_999, breaking: true }),
  ]);
  expect(await exit).toEqual([57, null]);
  const next = await until("its next life", async () => {
    const living = stage.lanes[0]?.worker();
    return living && living.pid !== worker.pid && living;
  });
  await workGoesOn(stage.db, next.pid);
  await reportRecovery({
    point: "a forged notification, until the next worker is at work",
    seconds: [(performance.now() - at) / 1_000],
  });
});

test("and nothing was lost or told twice by any of it", { timeout: 240_000 }, async () => {
  await expectAllWell(stage);
});
