import { afterAll, beforeAll, expect, test } from "vitest";
import type { WatchFor } from "../../harness/faultline.ts";
import { until } from "../../helpers/until.ts";
import { POINTS } from "../kills/points.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { expectAllWell, workerOf, workGoesOn } from "./work.ts";

// Each statement of ours commits by itself, so the reply to it is the reply to its commit. It arrives, is done, and
// whoever sent it does not know. In the end everything is as if it had been told: as the carriers say, nothing twice.

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(1, 51);
}, 120_000);
afterAll(() => stage?.close());

/** How often each reply is lost. */
const TIMES = 2;

interface Statement {
  readonly place: WatchFor;
  /** What makes a worker send it; left out: it does in any case. */
  readonly provoke?: () => Promise<unknown>;
}

const sent = (purpose: string, match: string | RegExp): WatchFor => ({
  applicationName: `bookpost ${purpose}`,
  direction: "upstream",
  match,
});

const STATEMENTS: Readonly<Record<string, Statement>> = {
  ...Object.fromEntries(
    Object.entries(POINTS).flatMap(([point, place]) =>
      place !== "carrier" && place.direction === "upstream" ? [[point, { place }]] : [],
    ),
  ),
  "strays are freed": { place: sent("housekeeping", "bookpost_private.free_strays") },
  "a job is put off": {
    place: sent("worker", "graphile_worker.add_jobs"),
    // One that comes before its carrier may be asked again.
    async provoke() {
      await stage.db.pool.query(
        `update bookpost_private.budgets set not_before = clock_timestamp() + interval '2 seconds', not_before_reason = 'rate_limited'
         where api_code = 'ups'`,
      );
      await stage.db.pool.query(
        `select graphile_worker.add_job('track_book', json_build_object('parcelId', c.parcel_id), job_key => 'put off')
         from bookpost_private.checks c
         where c.api_code = 'ups' and not exists (select from bookpost_private.leases l where l.parcel_id = c.parcel_id)
         limit 1`,
      );
    },
  },
  "partitions are made": {
    place: sent("housekeeping", "bookpost_private.make_partitions"),
    provoke: () => stage.db.pool.query("select graphile_worker.add_job('maintain')"),
  },
  "a request is paid for": {
    place: sent("worker", "bookpost_private.pay_call"),
    // A new worker has to fetch a token first, and pays for what it asks with it.
    provoke: nextLife,
  },
};

/** Lets the worker stop, and waits for the one that takes its place. */
async function nextLife(): Promise<void> {
  const { worker } = workerOf(stage);
  expect(await worker.stop()).toMatchObject({ code: 0 });
  await until("its successor lives", async () => {
    const next = stage.lanes[0]?.worker();
    return next && next.pid !== worker.pid;
  });
}

test.each(Object.keys(STATEMENTS))(
  "when %s and the reply to its commit is lost, the same worker goes on",
  { timeout: 120_000 },
  async (name) => {
    const { place, provoke } = STATEMENTS[name] as Statement;
    for (let time = 0; time < TIMES; time++) {
      const { lane } = workerOf(stage);
      const watch = lane.line.watch(place, "forward_then_cut");
      await provoke?.();
      await watch.happened;
      const { worker } = workerOf(stage);
      await workGoesOn(stage.db, worker.pid);
      expect(workerOf(stage).worker.pid).toBe(worker.pid);
    }
  },
);

test("when a worker that was asked to stop signs off and the reply is lost, it ends with 0 all the same", {
  timeout: 120_000,
}, async () => {
  const { lane } = workerOf(stage);
  const watch = lane.line.watch(
    sent("heartbeat", "delete from bookpost_private.workers"),
    "forward_then_cut",
  );
  await nextLife();
  await watch.happened;
});

test("and in the end nothing was lost and nothing was done or told twice", {
  timeout: 240_000,
}, async () => {
  await expectAllWell(stage);
});
