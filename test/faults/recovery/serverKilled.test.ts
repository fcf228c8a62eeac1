import { afterAll, beforeAll, expect, test } from "vitest";
import type { StopMode } from "../../harness/pgbox.ts";
import { until } from "../../helpers/until.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { openStage, type Stage } from "./stage.ts";

// From the moment when Postgres lets people in again to the first parcel that is looked up.

const ROUNDS = 25;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(2, 2);
}, 120_000);
afterAll(() => stage?.close());

test.each<[string, StopMode]>([
  ["killed, all of it", "crash"],
  ["stopped at once", "immediate"],
])(
  "after a Postgres that was %s is back, work goes on within 5 seconds",
  { timeout: 600_000 },
  async (what, mode) => {
    const seconds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await until("something is under way", async () => {
        const { rows } = await stage.db.pool.query("select from bookpost_private.leases");
        return rows.length > 0;
      });
      await stage.box.restart(mode);
      const at = performance.now();
      const { rows } = await stage.db.pool.query<{ now: Date }>("select clock_timestamp() as now");
      await until(
        "a lookup that began after the return is written down",
        async () => {
          const { rows: recorded } = await stage.db.pool.query(
            "select from bookpost_private.lookups where started_at > $1 and outcome <> 'interrupted' limit 1",
            [rows[0]?.now],
          );
          return recorded.length > 0;
        },
        60_000,
      );
      seconds.push((performance.now() - at) / 1_000);
    }
    await reportRecovery({ point: `Postgres ${what}`, seconds, promisedSeconds: 5 });
  },
);

test("and nothing was lost or told twice by any of it", { timeout: 240_000 }, async () => {
  for (const [what, offenders] of Object.entries(await stage.finish()))
    expect(offenders, what).toEqual([]);
});
