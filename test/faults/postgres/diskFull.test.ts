import { afterAll, beforeAll, expect, test } from "vitest";
import { canTinyDisk } from "../../harness/abilities.ts";
import { until } from "../../helpers/until.ts";
import { openStage, type Stage } from "../recovery/stage.ts";
import { reportRecovery } from "../recoveryReport.ts";
import { blamedCarriers, expectAllWell, workerOf, workGoesOn } from "./work.ts";

let stage: Stage;
beforeAll(async () => {
  if (canTinyDisk()) stage = await openStage(1, 91, { diskMegabytes: 200 });
}, 120_000);
afterAll(() => stage?.close());

test.skipIf(!canTinyDisk())(
  "on a full disk writes fail visibly, reads go on and no carrier is blamed; when there is room again work goes on by itself",
  { timeout: 240_000 },
  async () => {
    const { worker } = workerOf(stage);
    await workGoesOn(stage.db, worker.pid);
    stage.box.fillDisk();
    await worker.untilReady("its writes fail visibly", async () =>
      /No space left on device/.test(worker.output()),
    );
    const { rows } = await stage.db.pool.query(
      "select count(*)::integer as n from bookpost.parcels",
    );
    expect(rows[0].n).toBeGreaterThan(0);
    expect(await blamedCarriers(stage.db)).toEqual([]);
    stage.box.freeDisk();
    const seconds = await workGoesOn(stage.db);
    await reportRecovery({ point: "disk full, and room again", seconds: [seconds] });
    await until("a worker lives", async () => stage.lanes[0]?.worker());
    await expectAllWell(stage);
  },
);
