import { expect, onTestFinished, test } from "vitest";
import { startFaultline } from "../../harness/faultline.ts";
import { chanceFrom } from "../../helpers/chance.ts";
import { until } from "../../helpers/until.ts";
import { startWorkerProcess, type WorkerProcess } from "../../helpers/workerProcess.ts";
import { environmentOf } from "../kills/run.ts";
import { heldBy, isFreed } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { openScene, type Scene } from "./scene.ts";

// Signals that ask a worker to end, at moments of its work that chance decides; and output that nobody reads.

const COMMANDS = ["stock", "start"] as const;

/** Together: a hundred. */
const LANES = [...COMMANDS, ...COMMANDS];
const ROUNDS = 25;

/** How much a worker may have sent to Postgres, in pieces, when the signal comes: some seconds' work. */
const PIECES = 80;

test("after each of a hundred SIGTERMs and SIGINTs at random moments a worker ends with 0 and nothing stays locked or leased by it", {
  timeout: 600_000,
}, async () => {
  const scene = await openScene();
  const { db } = scene;
  await scene.start();
  await scene.move(21);
  const seconds: number[] = [];
  const wrong: unknown[] = [];
  await Promise.all(
    LANES.map(async (command, i) => {
      const chance = chanceFrom(100 + i);
      const line = await startFaultline(db.url);
      onTestFinished(() => line.close());
      for (let round = 0; round < ROUNDS; round++) {
        const signal = chance.happens(0.8) ? "SIGTERM" : "SIGINT";
        const pieces = Math.ceil(chance.between(0, PIECES));
        const worker = await startWorkerProcess(
          { url: line.url(db.url), pool: db.pool },
          environmentOf(scene.sandbox),
          { command },
        );
        onTestFinished(() => worker.close().then(() => {}));
        const held = await heldBy(db, worker.pid);
        let at = 0;
        let seen = 0;
        const watch = line.watch(
          { direction: "upstream", match: /[\s\S]/, times: pieces },
          // These bytes go on when the signal is sent.
          async () => {
            seen += 1;
            if (seen === pieces) {
              worker.kill(signal);
              at = performance.now();
            }
            return "forward";
          },
        );
        await watch.happened;
        const { code, output } = await worker.ended;
        seconds.push((performance.now() - at) / 1_000);
        const isClean = held !== null && (await isFreed(db, held.workerId));
        const hasSignedOff = (await heldBy(db, worker.pid)) === null;
        if (code !== 0 || !isClean || !hasSignedOff)
          wrong.push({ command, round, signal, pieces, code, isClean, hasSignedOff, output });
      }
    }),
  );
  expect(wrong).toEqual([]);
  expect(seconds).toHaveLength(100);
  await reportRecovery({
    point: "SIGTERM or SIGINT to a worker's end",
    seconds,
    promisedSeconds: 10,
  });
  expect(await scene.finish()).toEqual({});
});

/** A worker whose lookups wait for a carrier that does not answer. */
async function workerThatWaits(scene: Scene, command: (typeof COMMANDS)[number]) {
  scene.sandbox.fault({ mode: "hang", kind: "lookup" });
  const worker = await scene.start({ command });
  await scene.move(22);
  const held = await until("it waits for a carrier", async () => {
    const seen = await heldBy(scene.db, worker.pid);
    return scene.sandbox.log.some(({ kind }) => kind === "lookup") && seen !== null && seen;
  });
  return { worker, ...held };
}

/** Another worker finds nothing lost. */
async function expectNothingLost(scene: Scene, workerId: string): Promise<void> {
  scene.sandbox.clearFaults();
  const other = await scene.start();
  await until("nothing is held by the worker that has ended", () => isFreed(scene.db, workerId));
  expect(await scene.finish()).toEqual({});
  expect(await other.stop()).toMatchObject({ code: 0 });
}

test.each(COMMANDS)(
  "%s: a SIGTERM while carriers do not answer breaks their lookups off, and it ends with 0",
  { timeout: 120_000 },
  async (command) => {
    const scene = await openScene();
    const { worker, workerId } = await workerThatWaits(scene, command);
    const at = performance.now();
    expect(await worker.stop()).toMatchObject({ code: 0 });
    await reportRecovery({
      point: "SIGTERM to a worker's end while carriers do not answer",
      seconds: [(performance.now() - at) / 1_000],
      promisedSeconds: 10,
    });
    expect(await isFreed(scene.db, workerId)).toBe(true);
    await expectNothingLost(scene, workerId);
  },
);

test.each([
  // graphile-worker does not listen to a second one within five seconds.
  { command: "stock", first: /Received 'SIGTERM'/, second: /Ignoring 'SIGTERM'/, code: 0 },
  { command: "start", first: /Stopping:/, second: null, code: 1 },
] as const)(
  "$command: of two signals the second ends it with $code, and others find nothing lost",
  { timeout: 120_000 },
  async ({ command, first, second, code }) => {
    const scene = await openScene();
    const { worker, workerId } = await workerThatWaits(scene, command);
    worker.kill("SIGTERM");
    await worker.says(first);
    worker.kill(command === "stock" ? "SIGTERM" : "SIGINT");
    if (second) await worker.says(second);
    expect(await worker.ended).toMatchObject({ code, signal: null });
    await expectNothingLost(scene, workerId);
  },
);

/** As `| head -1` does: the first words are read, and the pipe is closed. */
function stopReading(worker: WorkerProcess): void {
  worker.child.stdout?.destroy();
  worker.child.stderr?.destroy();
}

test("start: output that nobody reads any more does not stop it, nor its end", {
  timeout: 120_000,
}, async () => {
  const scene = await openScene();
  const worker = await scene.start({ command: "start" });
  stopReading(worker);
  const world = await scene.move(23);
  await until("it tells of what it does, and goes on for ten parcels", async () => {
    const { rowCount } = await scene.db.pool.query(
      "select from bookpost_private.lookups where outcome = 'updated'",
    );
    return (rowCount ?? 0) >= 10;
  });
  expect(worker.child.exitCode).toBeNull();
  expect(world.parcels.length).toBeGreaterThan(0);
  expect(await scene.finish()).toEqual({});
  expect(await worker.stop()).toMatchObject({ code: 0 });
});

test("stock: output that nobody reads any more ends it in order, with 1 and nothing held", {
  timeout: 120_000,
}, async () => {
  const scene = await openScene();
  const worker = await scene.start();
  const held = await heldBy(scene.db, worker.pid);
  stopReading(worker);
  await scene.move(24);
  expect(await worker.ended).toMatchObject({ code: 1, signal: null });
  expect(await isFreed(scene.db, held?.workerId ?? "")).toBe(true);
  await expectNothingLost(scene, held?.workerId ?? "");
});
