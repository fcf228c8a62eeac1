import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Direction, WatchFor } from "../../harness/faultline.ts";
import { until } from "../../helpers/until.ts";
import { POINTS } from "../kills/points.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { expectAllWell, workerOf, workGoesOn } from "./work.ts";

// What can be wrong with the link between a worker and Postgres, short of the whole of it falling silent.

const LANES = 4;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(LANES, 41);
}, 120_000);
afterAll(() => stage?.close());

/** All workers live, in the order of their lanes. */
const allLive = () =>
  until(
    "all live",
    async () => {
      const workers = stage.lanes.map((lane) => lane.worker());
      return (
        workers.every((worker) => worker !== null) && workers.map((_, i) => workerOf(stage, i))
      );
    },
    60_000,
  );

test("every connection is reset at once: the same worker goes on", {
  timeout: 120_000,
}, async () => {
  const { lane, worker } = workerOf(stage);
  for (let round = 0; round < 3; round++) {
    for (const connection of lane.line.connections) connection.cut();
    await workGoesOn(stage.db, worker.pid);
  }
  expect(workerOf(stage).worker.pid).toBe(worker.pid);
});

test("answers come 300 ms late, give or take 200: the same worker goes on", {
  timeout: 120_000,
}, async () => {
  const { lane, worker } = workerOf(stage);
  const told = worker.output().length;
  const toxic = lane.line.add({ type: "latency", latency: 300, jitter: 200 });
  for (let round = 0; round < 2; round++) await workGoesOn(stage.db, worker.pid);
  toxic.remove();
  expect(workerOf(stage).worker.pid).toBe(worker.pid);
  expect(worker.output().slice(told)).not.toMatch(/a heartbeat failed/);
});

test("one way only, either one: the worker ends with 1 within 30 seconds, and its next life works", {
  timeout: 180_000,
}, async () => {
  const seconds = await Promise.all(
    (["upstream", "downstream"] as Direction[]).map(async (direction, i) => {
      const { lane, worker } = workerOf(stage, i);
      const exit = once(worker.child, "exit");
      const at = performance.now();
      const toxic = lane.line.add({ type: "one_way" }, { direction });
      expect(await exit, direction).toEqual([1, null]);
      toxic.remove();
      return (performance.now() - at) / 1_000;
    }),
  );
  await reportRecovery({
    point: "the link to Postgres open one way only: the worker has ended",
    seconds,
    promisedSeconds: 30,
  });
  for (const { worker } of await allLive()) await workGoesOn(stage.db, worker.pid);
});

test("all connections of one pool fall silent and those of the others live: the same worker heals within 30 seconds", {
  timeout: 180_000,
}, async () => {
  const pools = ["queue", "worker", "housekeeping", "heartbeat"];
  const workers = await allLive();
  for (const { worker } of workers) await workGoesOn(stage.db, worker.pid);
  const seconds = await Promise.all(
    workers.map(async ({ lane, worker }, i) => {
      const applicationName = `bookpost ${pools[i]}`;
      const at = performance.now();
      // What has been silent stays so; those to come are well.
      lane.line.add({ type: "blackhole" }, { applicationName }).remove();
      await Promise.all([
        // A statement of this pool's is answered.
        lane.line.watch(
          { applicationName, direction: "downstream", match: /(SELECT|UPDATE|DELETE|INSERT 0) \d/ },
          "forward",
        ).happened,
        workGoesOn(stage.db, worker.pid),
      ]);
      return (performance.now() - at) / 1_000;
    }),
  );
  await reportRecovery({
    point: "all connections of one pool silent",
    seconds,
    promisedSeconds: 30,
  });
  expect(stage.lanes.map((lane) => lane.worker()?.pid)).toEqual(
    workers.map(({ worker }) => worker.pid),
  );
});

test("one connection falls silent with a statement on it: the same worker has it done on another", {
  timeout: 180_000,
}, async () => {
  const workers = await allLive();
  // Housekeeping's come last of all; above is the whole of its pool.
  const places = Object.values(POINTS).filter(
    (place) =>
      place !== "carrier" &&
      place.direction === "upstream" &&
      place.applicationName !== "bookpost housekeeping",
  ) as WatchFor[];
  const at = performance.now();
  await Promise.all(
    places.map(async (place, i) => {
      const { lane } = workers[i % workers.length] as (typeof workers)[0];
      await lane.line.watch(place, "blackhole").happened;
      await lane.line.watch(place, "forward").happened;
    }),
  );
  for (const { worker } of workers) await workGoesOn(stage.db, worker.pid);
  await reportRecovery({
    point: "one connection silent with a statement on it",
    seconds: [(performance.now() - at) / 1_000],
  });
  expect(stage.lanes.map((lane) => lane.worker()?.pid)).toEqual(
    workers.map(({ worker }) => worker.pid),
  );
});

test("the listening connection alone falls silent: jobs are found by asking", {
  timeout: 120_000,
}, async () => {
  // Not the lane whose queue was made silent above.
  const { lane, worker } = workerOf(stage, 1);
  await lane.line.watch(
    { applicationName: "bookpost queue", direction: "downstream", match: "jobs:insert" },
    "blackhole",
  ).happened;
  for (let round = 0; round < 3; round++) await workGoesOn(stage.db, worker.pid);
});

test("and nothing was lost or told twice by any of it", { timeout: 240_000 }, async () => {
  await expectAllWell(stage);
});
