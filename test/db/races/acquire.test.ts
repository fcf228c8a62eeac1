import { expect, test } from "vitest";
import { acquireLookups } from "../../../src/sql/acquireLookups.ts";
import { releaseLookups } from "../../../src/sql/releaseLookups.ts";
import { makeDue } from "../../helpers/ageing.ts";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { one } from "../../helpers/one.ts";
import { openClients } from "../../helpers/openClient.ts";
import { dueParcels, permitsFor } from "../../helpers/permits.ts";
import { recordAll } from "../../helpers/recordAll.ts";
import { failed, found } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";

const db = testDatabase();

test("of eight connections that ask for one parcel at once, one gets it, round after round", async () => {
  const api = await makeApi(db.pool);
  const [parcelId = ""] = await dueParcels(db.pool, api.code, 1);
  const clients = await openClients(db.url, 8);
  for (let round = 0; round < 20; round++) {
    const permits = await Promise.all(clients.map((client) => permitsFor(client, [parcelId])));
    const lookupIds = permits.flat();
    expect(lookupIds).toHaveLength(1);
    await recordAll(
      db.pool,
      lookupIds.map((id) => failed(id, "local")),
      "worker",
    );
    await makeDue(db.pool, parcelId);
  }
});

test("the same hundred parcels asked for by eight connections at once: each gets one permit", async () => {
  const api = await makeApi(db.pool);
  const parcelIds = await dueParcels(db.pool, api.code, 100);
  const clients = await openClients(db.url, 8);
  const verdicts = (
    await Promise.all(clients.map((client) => acquireLookups(client, parcelIds, "worker")))
  ).flat();
  const permits = verdicts.filter(({ verdict }) => verdict === "permit");
  expect(new Set(permits.map(({ parcelId }) => parcelId)).size).toBe(permits.length);
  expect(new Set(verdicts.map(({ verdict }) => verdict))).toEqual(new Set(["permit", "busy"]));
  const rest = await permitsFor(db.pool, parcelIds);
  expect(permits.length + rest.length).toBe(100);
});

test("lookups in flight never exceed the limit, with eight connections, 20 parcels and ends in random order", async () => {
  const limit = 5;
  const api = await makeApi(db.pool, { calls_in_flight: limit });
  const parcelIds = await dueParcels(db.pool, api.code, 20);
  // The judge: looks at every lease at the moment it is granted, where only those of committed transactions count.
  await db.pool.query(`
    create function bookpost_private.judge_in_flight() returns trigger language plpgsql as $$
    begin
      if (select count(*) from bookpost_private.leases where api_code = NEW.api_code) > ${limit} then
        raise exception 'more in flight than allowed';
      end if;
      return null;
    end $$;
    create trigger _900_judge after insert on bookpost_private.leases
      for each row when (NEW.api_code = '${api.code}') execute function bookpost_private.judge_in_flight()`);
  const clients = await openClients(db.url, 8);
  let granted = 0;
  await Promise.all(
    clients.map(async (client) => {
      for (let round = 0; round < 20; round++) {
        const wanted = parcelIds.toSorted(() => Math.random() - 0.5).slice(0, 4);
        await makeDue(client, ...wanted);
        const ids = await permitsFor(client, wanted);
        granted += ids.length;
        for (const id of ids.toSorted(() => Math.random() - 0.5))
          await recordAll(client, [found(id)], "worker");
      }
    }),
  );
  await db.pool.query("drop function bookpost_private.judge_in_flight() cascade");
  expect(granted).toBeGreaterThan(20);
});

test("the day's allowance is exact under eight connections that ask, use and give back", async () => {
  const allowance = 60;
  const api = await makeApi(db.pool, { calls_per_day: allowance });
  const parcelIds = await dueParcels(db.pool, api.code, 120);
  const clients = await openClients(db.url, 8);
  const used = await Promise.all(
    clients.map(async (client, i) => {
      let count = 0;
      for (let round = 0; round < 12; round++) {
        const wanted = parcelIds.slice(i * 15, i * 15 + 15);
        const ids = await permitsFor(client, wanted);
        const [back, ...kept] = ids;
        if (back) await releaseLookups(client, [back], "late");
        count += kept.length;
        await recordAll(
          client,
          kept.map((id) =>
            failed(id, "local", {
              calls: [{ kind: "lookup", http_status: null, age_ms: 1, duration_ms: 1 }],
            }),
          ),
          "worker",
        );
        await makeDue(client, ...wanted);
      }
      return count;
    }),
  );
  const rest = await permitsFor(db.pool, parcelIds);
  expect(used.reduce((sum, count) => sum + count, 0) + rest.length).toBe(allowance);
  expect(
    await one(db.pool, "select day_calls from bookpost_private.budgets where api_code = $1", [
      api.code,
    ]),
  ).toEqual({ day_calls: allowance });
});

test("permits granted to eight connections at once keep the API's pace", async () => {
  const api = await makeApi(db.pool, { call_windows: { "1 second": 50 } });
  const parcelIds = await dueParcels(db.pool, api.code, 160);
  const clients = await openClients(db.url, 8);
  await Promise.all(
    clients.map(async (client, i) => {
      for (let at = 0; at < 20; at += 4)
        await permitsFor(client, parcelIds.slice(i * 20 + at, i * 20 + at + 4));
    }),
  );
  // A lease ends lease_duration after the moment of its call. (1 s + 100 ms) / 50 = 22 ms between two.
  const { rows } = await db.pool.query<{ gap: number }>(
    `select extract(epoch from lease_until - lag(lease_until) over (order by lease_until))::double precision * 1000 as gap
     from bookpost_private.leases where api_code = $1 order by lease_until offset 1`,
    [api.code],
  );
  expect(rows.length).toBe(159);
  for (const { gap } of rows) expect(gap).toBeGreaterThanOrEqual(21.999);
});

testThatAllIsQuiet(db);
