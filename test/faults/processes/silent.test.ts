import { expect, test } from "vitest";
import { until } from "../../helpers/until.ts";
import type { WorkerProcess } from "../../helpers/workerProcess.ts";
import { heldBy, isTakenOver } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { openScene, type Scene } from "./scene.ts";

// A worker that is silent for longer than it may be, and then goes on as if nothing had been.

/** Longer than the time after which a silent worker is dead. */
const SLOW_MS = 2_000;

/** Strikes a worker dumb when it has lookups under way; and tells its id, and what it held. */
async function silence({ db, sandbox }: Scene, worker: WorkerProcess, strike: () => void) {
  // So that answers are on their way while it is silent.
  sandbox.fault({ mode: "slow", ms: SLOW_MS, kind: "lookup" });
  const held = await until("it has lookups under way at the carrier", async () => {
    const seen = await heldBy(db, worker.pid);
    const isAsked = ({ number, endedAt }: { number: string | null; endedAt: number | null }) =>
      endedAt === null && seen?.lookups.some((lookup) => lookup.number === number);
    return seen !== null && sandbox.log.some(isAsked) && seen;
  });
  strike();
  const at = performance.now();
  await until(
    "what it had runs elsewhere, and nothing is held by it any more",
    () => isTakenOver({ db, sandbox }, held, at),
    60_000,
  );
  sandbox.clearFaults();
  return { ...held, seconds: (performance.now() - at) / 1_000 };
}

/** What came too late of a worker, dead or alive by the database's account. */
async function staleResultsOf({ db }: Scene, workerId: string): Promise<number> {
  const { rows } = await db.pool.query<{ count: number }>(
    `select (
       select coalesce(sum(stale_results), 0) from (
         select stale_results from bookpost_private.workers where id = $1
         union all select stale_results from bookpost_private.worker_deaths where worker_id = $1
       ) s
     )::integer as count`,
    [workerId],
  );
  return rows[0]?.count ?? 0;
}

/** Waits until a worker that was taken for dead is a worker like others again. */
async function isAtWorkAgain({ db }: Scene, worker: WorkerProcess, workerId: string) {
  const { rows } = await db.pool.query<{ now: Date }>("select clock_timestamp() as now");
  await worker.untilReady("it beats again and looks up parcels again", async () => {
    const { rowCount } = await db.pool.query(
      `select from bookpost_private.workers w
       join bookpost_private.lookups k on k.worker_id = w.id and k.started_at > $2 and k.outcome <> 'interrupted'
       where w.id = $1 limit 1`,
      [workerId, rows[0]?.now],
    );
    return (rowCount ?? 0) > 0;
  });
}

async function deathsOf({ db }: Scene, workerId: string): Promise<number> {
  const { rowCount } = await db.pool.query(
    "select from bookpost_private.worker_deaths where worker_id = $1",
    [workerId],
  );
  return rowCount ?? 0;
}

test("a worker that was stopped past its death and goes on: its answers are counted and change nothing, and it works on", {
  timeout: 180_000,
}, async () => {
  const scene = await openScene();
  const [paused] = await Promise.all([scene.start(), scene.start()]);
  await scene.move(11);

  const held = await silence(scene, paused, () => paused.pause());
  await reportRecovery({
    point: "a worker that is stopped (SIGSTOP)",
    seconds: [held.seconds],
    promisedSeconds: 30,
  });
  expect(await deathsOf(scene, held.workerId)).toBe(1);
  paused.resume();

  await paused.untilReady(
    "its late answers are counted",
    async () => (await staleResultsOf(scene, held.workerId)) > 0,
  );
  await isAtWorkAgain(scene, paused, held.workerId);
  expect(await scene.finish()).toEqual({});
  expect(await paused.stop()).toMatchObject({ code: 0 });
});

test("a worker whose event loop is blocked for ten seconds is taken for dead, writes nothing twice, and works on", {
  timeout: 180_000,
}, async () => {
  const scene = await openScene();
  const [blocked] = await Promise.all([scene.start({ mishap: { kind: "block" } }), scene.start()]);
  await scene.move(12);

  const held = await silence(scene, blocked, () => blocked.kill("SIGWINCH"));
  expect(await deathsOf(scene, held.workerId)).toBe(1);
  await blocked.says("The mishap is over.");

  await blocked.untilReady(
    "its late answers are counted",
    async () => (await staleResultsOf(scene, held.workerId)) > 0,
  );
  await isAtWorkAgain(scene, blocked, held.workerId);
  expect(await scene.finish()).toEqual({});
  expect(await blocked.stop()).toMatchObject({ code: 0 });
});
