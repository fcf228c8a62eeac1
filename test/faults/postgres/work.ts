import { expect } from "vitest";
import { judge } from "../../harness/judge.ts";
import type { Lane } from "../../harness/lane.ts";
import type { TestDatabase } from "../../helpers/template.ts";
import { until } from "../../helpers/until.ts";
import type { WorkerProcess } from "../../helpers/workerProcess.ts";
import type { Stage } from "../recovery/stage.ts";

// What the tests of Postgres's faults ask of a stage: whether work goes on, who is blamed, what is left.

/** Chosen: longer than any promise, so that what is too slow is reported as a number and only a hang fails here. */
const HANG_MS = 90_000;

/**
 * Waits for a lookup that began after now and was written down.
 * @param processId of the worker whose it has to be; left out: anybody's
 * @returns the seconds that took
 */
export async function workGoesOn(
  { pool }: Pick<TestDatabase, "pool">,
  processId?: number,
): Promise<number> {
  const at = performance.now();
  const now = await until(
    "the database answers",
    () => pool.query("select clock_timestamp() as now").then(({ rows }) => rows[0]?.now, nothing),
    HANG_MS,
  );
  await until(
    "a lookup that began after that is written down",
    async () => {
      const { rows } = await pool
        .query(
          `select from bookpost_private.lookups l
           where l.started_at > $1 and l.outcome <> 'interrupted'
             and ($2::integer is null or exists (
               select from bookpost_private.workers w where w.id = l.worker_id and w.process_id = $2
             ))
           limit 1`,
          [now, processId ?? null],
        )
        .catch(() => ({ rows: [] }));
      return rows.length > 0;
    },
    HANG_MS,
  );
  return (performance.now() - at) / 1_000;
}

const nothing = () => null;

/** The lane's worker, which has to live. */
export function workerOf(stage: Stage, lane = 0): { lane: Lane; worker: WorkerProcess } {
  const found = stage.lanes[lane];
  const worker = found?.worker();
  if (found === undefined || !worker) throw new Error(`no worker lives in lane ${lane}`);
  return { lane: found, worker };
}

/** Lets everything come to rest; then nothing is lost, doubled or stuck, and no carrier was blamed for any of it. */
export async function expectAllWell(stage: Stage): Promise<void> {
  for (const [what, offenders] of Object.entries(await stage.finish()))
    expect(offenders, what).toEqual([]);
  expect(await judge({ db: stage.db.pool, log: stage.sandbox.log })).toEqual({});
  expect(await blamedCarriers(stage.db)).toEqual([]);
}

/** Circuits that have moved or counted a failure, and lookups that ended as a carrier's fault. */
export async function blamedCarriers({ pool }: Pick<TestDatabase, "pool">): Promise<unknown[]> {
  const { rows } = await pool.query(
    `select t.api_code, t.reason from bookpost_private.circuit_transitions t
     union all
     select c.api_code, c.consecutive_failures || ' failures' from bookpost.carrier_circuits c
     where c.consecutive_failures > 0 or c.state <> 'closed'
     union all
     select l.api_code, l.outcome || ': ' || coalesce(l.error_message, '') from bookpost_private.lookups l
     where l.outcome not in ('updated', 'unchanged', 'interrupted', 'local')`,
  );
  return rows;
}
