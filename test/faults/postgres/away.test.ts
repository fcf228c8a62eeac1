import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startProc } from "../../harness/procs.ts";
import { createNameReader } from "../../harness/startupPacket.ts";
import { until } from "../../helpers/until.ts";
import { startWorkerProcess, type WorkerProcess } from "../../helpers/workerProcess.ts";
import { environmentOf } from "../kills/run.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { expectAllWell, workGoesOn } from "./work.ts";

// A Postgres that is away: for moments, and for longer than a worker waits. The supervisor is this test.

let stage: Stage;
let worker: WorkerProcess;
beforeAll(async () => {
  stage = await openStage(0, 31);
  worker = await startWorkerProcess(stage.db, environmentOf(stage.sandbox));
}, 120_000);
afterAll(async () => {
  await worker?.close();
  await stage?.close();
});

/** A line of the log that something is wrong begins so. */
const COMPLAINT = /^(ERROR|WARN)/gm;

const timesSaid = (words: RegExp) => worker.output().match(words)?.length ?? 0;

test("a worker lives through five seconds without Postgres", { timeout: 120_000 }, async () => {
  await workGoesOn(stage.db, worker.pid);
  await stage.box.stop("fast");
  // It beats once a second.
  await worker.untilReady(
    "five beats have failed",
    async () => timesSaid(/a heartbeat failed/g) >= 5,
  );
  await stage.box.start();
  await workGoesOn(stage.db, worker.pid);
});

/**
 * How many connections a second a worker may try without a Postgres. Each of the
 * jobs in hand writes its end down again after pauses that grow to a second, and
 * there is a beat a second; seen: 5 to 31. A loop without pauses tries thousands.
 */
const KNOCKS_A_SECOND = 100;

test("away for a minute: the worker ends with 1, does not spin, and the next one catches up with one dispatch", {
  timeout: 240_000,
}, async () => {
  await workGoesOn(stage.db, worker.pid);
  const { port } = stage.box;
  await stage.box.stop("fast");
  const at = performance.now();
  const knocks = await countKnocks(port);
  const complaintsBefore = timesSaid(COMPLAINT);
  const ending = await worker.ended;
  expect(ending).toMatchObject({ code: 1, signal: null });
  expect(ending.output).toContain("this worker ends: Postgres has not been reached for 15 seconds");
  const seconds = (performance.now() - at) / 1_000;
  const complaints = timesSaid(COMPLAINT) - complaintsBefore;
  console.log(
    `without Postgres it lived ${seconds.toFixed(1)} s, tried ${knocks.count()} connections and complained ${complaints} times`,
  );
  expect(knocks.count()).toBeLessThan(KNOCKS_A_SECOND * seconds);
  expect(complaints).toBeLessThan(KNOCKS_A_SECOND * seconds);

  const early = await startProc(["node_modules/graphile-worker/dist/cli.js"], {
    environment: { GRAPHILE_ENV: "test", NODE_ENV: "test", DATABASE_URL: stage.db.url },
  });
  onTestFinished(() => early.close().then(() => {}));
  expect(await early.ended).toMatchObject({ code: 1, signal: null });

  await until("a minute has passed", async () => performance.now() - at > 60_000, 90_000);
  await knocks.stop();
  await stage.box.start();
  const backAt = performance.now();
  worker = await startWorkerProcess(stage.db, environmentOf(stage.sandbox));
  await workGoesOn(stage.db, worker.pid);
  // By the schedule's own key, not those that parcels on the move ask for: the one that was missed, and at most this minute's.
  expect(timesSaid(/key: 'dispatch',/g)).toBeLessThanOrEqual(2);
  await reportRecovery({
    point: "Postgres away for a minute: a worker started at its return",
    seconds: [(performance.now() - backAt) / 1_000],
  });
});

test("and nothing was lost or told twice by any of it", { timeout: 240_000 }, async () => {
  await expectAllWell(stage);
});

/** Answers at a stopped server's port, counts bookpost's connections and hangs up on all. */
async function countKnocks(port: number) {
  let count = 0;
  const server = createServer((socket) => {
    const readName = createNameReader();
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const name = readName(bytes);
      if (name === undefined) return;
      if (name?.startsWith("bookpost ")) count += 1;
      socket.destroy();
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    count: () => count,
    async stop() {
      server.close();
      await once(server, "close");
    },
  };
}
