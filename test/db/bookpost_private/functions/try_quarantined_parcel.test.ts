import type { ClientBase } from "pg";
import { expect } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { readHealth } from "../../../../src/sql/readHealth.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { makeDue, outlive } from "../../../helpers/ageing.ts";
import { jobsOf, lockJob } from "../../../helpers/jobsOf.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { beatFor, makeApi, type TestApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { dueParcels, permitsFor } from "../../../helpers/permits.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

const db = testDatabase();

const INTERRUPT = "bookpost_private.interrupt_lookups";
const TRY = "bookpost_private.try_quarantined_parcel";
const RECORD = "bookpost_private.record_lookups";

/** The API's worker begins to look at these parcels, dies over one of them, and is replaced. */
async function dieOver(client: ClientBase, api: TestApi, ...parcelIds: string[]): Promise<void> {
  await makeDue(client, ...parcelIds);
  const permits = await permitsFor(client, parcelIds, api.workerId);
  expect(permits).toHaveLength(parcelIds.length);
  await outlive(client, api.workerId);
  await sweep(client);
  await beatFor(client, api);
}

/** How each of these parcels stands: "due", or why it is set aside. */
async function standing(client: ClientBase, ...parcelIds: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ standing: string }>(
    `select coalesce(c.pause_reason, case when c.next_check_at <= clock_timestamp() then 'due' else 'planned' end) as standing
     from unnest($1::uuid[]) with ordinality w (parcel_id, place)
     join bookpost_private.checks c using (parcel_id) order by w.place`,
    [parcelIds],
  );
  return rows.map((row) => row.standing);
}

async function parcels(client: ClientBase, count: number) {
  const api = await makeApi(client);
  return { api, parcelIds: await dueParcels(client, api.code, count) };
}

testRule(
  db,
  "one death over a parcel is none of its doing yet, two in a row set it aside, visibly",
  async (client) => {
    const { api, parcelIds } = await parcels(client, 1);
    const [parcelId = ""] = parcelIds;
    await dieOver(client, api, parcelId);
    expect(await standing(client, parcelId)).toEqual(["due"]);
    await dieOver(client, api, parcelId);
    expect(await standing(client, parcelId)).toEqual(["quarantined"]);
    expect(
      await one(
        client,
        "select reason, needs_person, last_error from bookpost_ops.why where parcel_id = $1",
        [parcelId],
      ),
    ).toEqual({
      reason: "quarantined",
      needs_person: true,
      last_error: "A worker died while it looked, 2 in a row.",
    });
    expect(
      await one(client, "select kind from bookpost_ops.needs_person where parcel_id = $1", [
        parcelId,
      ]),
    ).toEqual({ kind: "quarantined" });
    expect((await readHealth(client)).quarantined).toBe(1);
  },
  {
    "one is enough": {
      function: "bookpost_private.crashes_tolerated",
      from: "RETURN 1",
      to: "RETURN 0",
    },
    "three are needed": {
      function: "bookpost_private.crashes_tolerated",
      from: "RETURN 1",
      to: "RETURN 2",
    },
    "deaths are not counted": {
      function: INTERRUPT,
      from: "k.crash_count + is_crash::integer",
      to: "k.crash_count",
    },
  },
);

for (const [end, report] of [
  ["an answer", (id: string) => found(id)],
  ["a failure of the carrier", (id: string) => failed(id, "unavailable")],
] as const)
  testRule(
    db,
    `${end} between two deaths: they are not in a row`,
    async (client) => {
      const { api, parcelIds } = await parcels(client, 1);
      const [parcelId = ""] = parcelIds;
      await dieOver(client, api, parcelId);
      await lookUp(client, parcelId, report, api.workerId);
      await dieOver(client, api, parcelId);
      expect(await standing(client, parcelId)).toEqual(["due"]);
    },
    {
      "the count goes on": {
        function: RECORD,
        from: "crash_count = 0,",
        to: "crash_count = c.crash_count,",
      },
    },
  );

testRule(
  db,
  "innocents beside a killer: all are set aside, tried one at a time, and all but the killer come back by themselves",
  async (client) => {
    const { api, parcelIds } = await parcels(client, 4);
    const killer = parcelIds[1] ?? "";
    await dieOver(client, api, ...parcelIds);
    await dieOver(client, api, ...parcelIds);
    expect(await standing(client, ...parcelIds)).toEqual(Array(4).fill("quarantined"));

    const tried: string[] = [];
    for (let round = 0; round < 6; round++) {
      await dispatch(client);
      // Once more: whoever is being tried is alone, however often it is asked for.
      await dispatch(client);
      const stands = await standing(client, ...parcelIds);
      const onTrial = parcelIds.filter((id, i) => stands[i] === "due" && !tried.includes(id));
      expect(onTrial.length).toBeLessThanOrEqual(1);
      const [parcelId] = onTrial;
      if (!parcelId) break;
      tried.push(parcelId);
      if (parcelId === killer) await dieOver(client, api, killer);
      else await lookUp(client, parcelId, (id) => found(id), api.workerId);
    }
    expect(new Set(tried)).toEqual(new Set(parcelIds));
    expect(tried).toHaveLength(4);
    expect(await standing(client, ...parcelIds)).toEqual(
      parcelIds.map((id) => (id === killer ? "quarantined" : "planned")),
    );
  },
  {
    "nobody is tried": {
      function: TRY,
      from: "bookpost_private.crashes_tolerated() + 1)) AND (NOT",
      to: "bookpost_private.crashes_tolerated() + 9)) AND (NOT",
    },
    "several are tried at a time": {
      function: TRY,
      from: "(t.next_check_at >= (clock_timestamp() - '00:10:00'::interval))",
      to: "false",
    },
  },
);

testRule(
  db,
  "one that lives through its trial wakes dispatch, so that the next is tried at once",
  async (client) => {
    const { api, parcelIds } = await parcels(client, 2);
    await dieOver(client, api, ...parcelIds);
    await dieOver(client, api, ...parcelIds);
    await dispatch(client);
    const stands = await standing(client, ...parcelIds);
    await client.query("delete from graphile_worker._private_jobs where key like 'dispatch%'");
    await lookUp(client, parcelIds[stands.indexOf("due")] ?? "", (id) => found(id), api.workerId);
    expect(
      await one(
        client,
        "select count(*)::integer as n from graphile_worker.jobs where task_identifier = 'dispatch'",
      ),
    ).toEqual({ n: 1 });
  },
  {
    "nobody is woken": {
      function: RECORD,
      from: "where c.crash_count > bookpost_private.crashes_tolerated()",
      to: "where false",
    },
  },
);

testRule(
  db,
  "a third death is the last, until a person asks for a look: then it starts afresh",
  async (client) => {
    const { api, parcelIds } = await parcels(client, 1);
    const [parcelId = ""] = parcelIds;
    for (let death = 0; death < 3; death++) {
      await dispatch(client);
      await dieOver(client, api, parcelId);
    }
    for (let i = 0; i < 3; i++) await dispatch(client);
    expect(await standing(client, parcelId)).toEqual(["quarantined"]);

    await client.query(
      "select bookpost.refresh_book(b.book_id) from bookpost.parcel_books b where b.parcel_id = $1",
      [parcelId],
    );
    expect(await standing(client, parcelId)).toEqual(["due"]);
    await dieOver(client, api, parcelId);
    expect(await standing(client, parcelId)).toEqual(["due"]);
  },
  {
    "it is tried for ever": {
      function: TRY,
      from: "(k.crash_count = (bookpost_private.crashes_tolerated() + 1))",
      to: "(k.crash_count > bookpost_private.crashes_tolerated())",
    },
    "a person's word does not count": {
      function: "bookpost.refresh_book",
      from: "crash_count = 0",
      to: "crash_count = c.crash_count",
    },
  },
);

testRule(
  db,
  "jobs that the dead worker had fetched and not begun are never blamed, and their attempts are given back",
  async (client) => {
    const { api, parcelIds } = await parcels(client, 3);
    await dispatch(client);
    const [begun = "", ...fetched] = parcelIds;
    for (let death = 0; death < 4; death++) {
      for (const parcelId of fetched) await lockJob(client, parcelId, api.workerId, "9 seconds");
      if (death < 2) await dieOver(client, api, begun);
      else {
        await outlive(client, api.workerId);
        await sweep(client);
        await beatFor(client, api);
      }
    }
    expect(await standing(client, ...fetched)).toEqual(["due", "due"]);
    const { rows } = await client.query(
      "select crash_count from bookpost_private.checks where parcel_id = any ($1)",
      [fetched],
    );
    expect(rows).toEqual([{ crash_count: 0 }, { crash_count: 0 }]);
    expect(await jobsOf(client, ...fetched)).toMatchObject([
      { attempts: 0, locked_by: null },
      { attempts: 0, locked_by: null },
    ]);
  },
  {
    "attempts are spent": {
      function: "bookpost_private.free_jobs",
      from: "j.attempts > 0 and",
      to: "false and",
    },
  },
);

/** Two parcels set aside: one of an API that has refused our credentials, one of an API that is well. */
async function oneAskable(client: ClientBase) {
  const sets = [await parcels(client, 1), await parcels(client, 1)] as const;
  for (const { api, parcelIds } of sets)
    for (let death = 0; death < 2; death++) await dieOver(client, api, ...parcelIds);
  const [parked, well] = sets;
  await client.query(
    "update bookpost_private.budgets set parked_at = now(), parked_reason = 'x', parked_fingerprint = 'first credentials' where api_code = $1",
    [parked.api.code],
  );
  return { parked: parked.parcelIds[0] ?? "", well: well.parcelIds[0] ?? "" };
}

testRule(
  db,
  "one whose API may be asked is tried before one whose API may not",
  async (client) => {
    const { parked, well } = await oneAskable(client);
    await dispatch(client);
    expect(await standing(client, parked, well)).toEqual(["quarantined", "due"]);
  },
  {
    "whether it may is not asked": {
      function: TRY,
      from: "(h.reason IS NOT NULL)",
      to: "(h.reason IS NULL)",
    },
  },
);

testRule(
  db,
  "one that is not looked at for ten minutes, since its API cannot be asked, makes way for the next",
  async (client) => {
    const { parked, well } = await oneAskable(client);
    const tryAfter = async (passed: string) => {
      await client.query(
        "update bookpost_private.checks set next_check_at = clock_timestamp() - $2::interval, pause_reason = null where parcel_id = $1",
        [parked, passed],
      );
      await dispatch(client);
      return (await standing(client, well))[0];
    };
    expect(await tryAfter("9 minutes")).toBe("quarantined");
    expect(await tryAfter("10 minutes")).toBe("due");
  },
  {
    "it stays on trial": {
      function: TRY,
      from: "'00:10:00'::interval",
      to: "'01:00:00'::interval",
    },
  },
);

testRule(
  db,
  "one that is being looked at is on trial for as long as that takes",
  async (client) => {
    const { well, parked } = await oneAskable(client);
    await dispatch(client);
    const { rows } = await client.query<{ worker: string }>(
      "select w.id as worker from bookpost_private.workers w join bookpost_private.checks c on w.api_fingerprints ? c.api_code where c.parcel_id = $1",
      [well],
    );
    await makeDue(client, well);
    await permitsFor(client, [well], rows[0]?.worker);
    await client.query(
      "update bookpost_private.checks set next_check_at = next_check_at - interval '1 hour' where parcel_id = $1",
      [well],
    );
    await dispatch(client);
    expect(await standing(client, parked)).toEqual(["quarantined"]);
  },
  { "leases are not looked at": { function: TRY, from: "l.parcel_id = t.parcel_id", to: "false" } },
);
