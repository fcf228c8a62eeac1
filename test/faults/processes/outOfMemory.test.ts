import { expect, test } from "vitest";
import { withTransaction } from "../../../src/db/withTransaction.ts";
import { upsNumber } from "../../helpers/carrierNumbers.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { until } from "../../helpers/until.ts";
import { fedexNumber, onItsWay, openScene } from "./scene.ts";

// A lookup for which Node has not memory enough: the process is gone, and all that was under way in it.

/** Parcels that are under way beside the one that kills. */
const COMPANIONS = 12;

/** Chosen: enough to start a worker, little enough to be full in a moment. */
const MEMORY = ["--max-old-space-size=128"];

/** Longer than the memory takes to fill, so that the companions are under way when it is full. */
const SLOW_MS = 3_000;

test("a parcel whose lookup fills the memory is set aside after two deaths and stays so after a third, alone; its companions come back by themselves", {
  timeout: 400_000,
}, async () => {
  const scene = await openScene();
  const { db, sandbox } = scene;
  const killer = upsNumber(1);
  const companions = Array.from({ length: COMPANIONS }, (_, i) =>
    i % 2 === 0 ? fedexNumber(i + 2) : upsNumber(i + 2),
  );
  for (const number of [killer, ...companions]) sandbox.script(number, onItsWay());
  sandbox.fault({ mode: "slow", ms: SLOW_MS, kind: "lookup" });
  const workers = await Promise.all(
    [1, 2].map(() =>
      scene.supervise({ nodeOptions: MEMORY, mishap: { kind: "fill", number: killer } }),
    ),
  );
  // In one commit, so that they go out together.
  const killerId = await withTransaction(db.pool, async (client) => {
    const { parcelId } = await trackBook(client, "ups", { number: killer });
    for (const number of companions)
      await trackBook(client, number.startsWith("1Z") ? "ups" : "fedex", { number });
    return parcelId;
  });
  const killerRow = async () =>
    (
      await db.pool.query(
        "select crash_count, pause_reason from bookpost_private.checks where parcel_id = $1",
        [killerId],
      )
    ).rows[0];

  await until("it has killed twice", async () => (await killerRow())?.crash_count === 2, 120_000);
  sandbox.clearFaults();
  await until(
    "it has killed three times and is set aside for good",
    async () => {
      const row = await killerRow();
      return row?.crash_count === 3 && row.pause_reason === "quarantined";
    },
    120_000,
  );
  await until(
    "all companions have been looked up, and none is set aside",
    async () => {
      const { rows } = await db.pool.query(
        `select from bookpost_private.checks
         where parcel_id <> $1 and (crash_count > 0 or last_answered_at is null or next_check_at is null)`,
        [killerId],
      );
      return rows.length === 0;
    },
    120_000,
  );

  // A process that only collects garbage is silent, and so held for dead, before it ends.
  const endings = await until("three processes have ended", async () => {
    const all = workers.flatMap((worker) => worker.endings);
    return all.length >= 3 && all;
  });
  expect(endings.map(({ output }) => /heap out of memory/.test(output))).toEqual([
    true,
    true,
    true,
  ]);
  expect(endings.map(({ code }) => code)).not.toContain(0);
  expect(await killerRow()).toEqual({ crash_count: 3, pause_reason: "quarantined" });
  const { rows: needing } = await db.pool.query(
    "select kind, parcel_id, detail from bookpost_ops.needs_person",
  );
  expect(needing).toEqual([
    {
      kind: "quarantined",
      parcel_id: killerId,
      detail: "A worker died while it looked, 3 in a row.",
    },
  ]);

  // Some companion was under way at the first two deaths, or this would show nothing.
  const { rows: tried } = await db.pool.query<{ parcel_id: string; crashes: number }>(
    `select parcel_id, count(*)::integer as crashes from bookpost_private.lookups
     where error_code = 'CRASHED' group by parcel_id having count(*) > 1`,
  );
  expect(tried.filter(({ parcel_id }) => parcel_id !== killerId)).not.toEqual([]);
  expect(tried.filter(({ crashes }) => crashes > 2)).toEqual([{ parcel_id: killerId, crashes: 3 }]);
  const { rows: together } = await db.pool.query(
    `with crash as (
       select parcel_id, finished_at, row_number() over (partition by parcel_id order by finished_at) as nth
       from bookpost_private.lookups where error_code = 'CRASHED'
     ),
     trial as (
       select distinct on (k.parcel_id) k.parcel_id, k.started_at, k.finished_at
       from bookpost_private.lookups k join crash on crash.parcel_id = k.parcel_id and crash.nth = 2
       where k.started_at >= crash.finished_at order by k.parcel_id, k.started_at
     )
     select a.parcel_id, b.parcel_id as other from trial a join trial b
       on a.parcel_id < b.parcel_id and a.started_at < b.finished_at and b.started_at < a.finished_at`,
  );
  expect(together, "tried at the same time").toEqual([]);
  expect(await scene.finish()).toEqual({});
});
