import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { beat } from "../../../../src/sql/beat.ts";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageBeat, outlive } from "../../../helpers/ageing.ts";
import { dispatchedAgo } from "../../../helpers/dispatchedAgo.ts";
import { withoutWaiting } from "../../../helpers/endsOrWaits.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { beatFor, makeApi } from "../../../helpers/makeApi.ts";
import { makeWorker, workerIds } from "../../../helpers/makeWorker.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import { found } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const SWEEP = "bookpost_private.sweep";
const BEAT = "bookpost_private.beat";

const deathsOf = async (db: ClientBase, workerId: string) =>
  (
    await db.query<{ interrupted_lookups: number; stale_results: number }>(
      "select interrupted_lookups, stale_results from bookpost_private.worker_deaths where worker_id = $1",
      [workerId],
    )
  ).rows;

testRule(
  db,
  "after an outage of the database, when all have been silent, nobody is judged and nothing changes",
  async (client) => {
    await dispatchedAgo(client, "0");
    for (const id of ["a", "b", "c"])
      await makeWorker(client, id, { silentFor: "1 minute", beatingFor: "1 day" });
    const before = await tableDigests(client);
    expect(await sweep(client)).toBe(0);
    expect(await tableDigests(client)).toEqual(before);
  },
  {
    "no witness is asked for": {
      function: SWEEP,
      from: " and w.beat_at > v_now - bookpost_private.dead_after()",
      to: "",
    },
  },
);

testRule(
  db,
  "the first to come back after an outage judges nobody for four seconds, and then does",
  async (client) => {
    await makeWorker(client, "first", { silentFor: "1 minute", beatingFor: "1 day" });
    await makeWorker(client, "other", { silentFor: "1 minute", beatingFor: "1 day" });
    await beat(client, { workerId: "first", hostName: "h", processId: 7, apiFingerprints: {} });
    await sweep(client);
    expect(await workerIds(client)).toEqual(["first", "other"]);
    // In one message, so that no second can pass in between.
    await client.query(
      `update bookpost_private.workers set beating_since = clock_timestamp() - interval '3 seconds' where id = 'first';
       select bookpost_private.sweep()`,
    );
    expect(await workerIds(client)).toEqual(["first", "other"]);
    await makeWorker(client, "first", { beatingFor: "4 seconds" });
    await sweep(client);
    expect(await workerIds(client)).toEqual(["first"]);
  },
  {
    "who comes back goes on as if nothing had been": {
      function: BEAT,
      from: "(w.beat_at < (clock_timestamp() - bookpost_private.dead_after())) OR ",
      to: "",
    },
    "anybody alive is a witness": {
      function: SWEEP,
      from: "w.beating_since <= v_now - bookpost_private.witness_after() and ",
      to: "",
    },
    "nobody ever is a witness": {
      function: "bookpost_private.witness_after",
      from: "'00:00:04'",
      to: "'00:00:40'",
    },
  },
);

testRule(
  db,
  "five seconds without a beat are death, four are not",
  async (client) => {
    await makeWorker(client, "witness");
    await makeWorker(client, "five", { silentFor: "5 seconds" });
    await client.query(
      `insert into bookpost_private.workers (id, host_name, process_id, beat_at)
       values ('four', 'test', 0, clock_timestamp() - interval '4 seconds');
       select bookpost_private.sweep()`,
    );
    expect(await workerIds(client)).toEqual(["four", "witness"]);
    expect(await deathsOf(client, "five")).toHaveLength(1);
    expect(await deathsOf(client, "four")).toHaveLength(0);
  },
  {
    "four are": { function: "bookpost_private.dead_after", from: "'00:00:05'", to: "'00:00:04'" },
    "five are not": {
      function: "bookpost_private.dead_after",
      from: "'00:00:05'",
      to: "'00:00:06'",
    },
  },
);

testRule(
  db,
  "a death is kept, with the number of lookups under way and of stale answers until then",
  async (client) => {
    const api = await makeApi(client);
    for (let i = 0; i < 3; i++)
      await permitFor(client, (await trackBook(client, api.code)).parcelId, api.workerId);
    await client.query("update bookpost_private.workers set stale_results = 2");
    await outlive(client, api.workerId);
    expect(await sweep(client)).toBe(3);
    expect(await deathsOf(client, api.workerId)).toEqual([
      { interrupted_lookups: 3, stale_results: 2 },
    ]);
  },
  {
    "lookups are not counted": {
      function: SWEEP,
      from: "k.id = any (v_crashed || v_lost)",
      to: "k.id = any (v_lost)",
    },
    "stale answers are forgotten": {
      function: SWEEP,
      from: "d.beat_at, d.stale_results,",
      to: "d.beat_at, 0,",
    },
  },
);

testRule(
  db,
  "a request that was yet to go out when its worker died did not kill it: interrupted, and no crash",
  async (client) => {
    const api = await makeApi(client);
    const { parcelId: sent } = await trackBook(client, api.code);
    const { parcelId: unsent } = await trackBook(client, api.code);
    for (const parcelId of [sent, unsent]) await permitFor(client, parcelId, api.workerId);
    await outlive(client, api.workerId);
    await client.query(
      "update bookpost_private.leases set call_at = call_at + interval '2 seconds' where parcel_id = $1",
      [unsent],
    );
    expect(await sweep(client)).toBe(2);
    const { rows } = await client.query(
      `select k.parcel_id, k.error_code, c.crash_count
       from bookpost_private.lookups k join bookpost_private.checks c using (parcel_id)
       where k.outcome = 'interrupted' order by k.error_code`,
    );
    expect(rows).toEqual([
      { parcel_id: sent, error_code: "CRASHED", crash_count: 1 },
      { parcel_id: unsent, error_code: "INTERRUPTED", crash_count: 0 },
    ]);
  },
  {
    "all are blamed": {
      function: SWEEP,
      from: "filter (where d.id is not null and l.call_at <= d.beat_at + interval '1 second')",
      to: "filter (where d.id is not null)",
    },
  },
);

testRule(
  db,
  "a worker that was frozen and goes on: its late answers are counted with its death, until it beats again",
  async (client) => {
    const api = await makeApi(client);
    const lookupIds: string[] = [];
    for (let i = 0; i < 3; i++)
      lookupIds.push(
        await permitFor(client, (await trackBook(client, api.code)).parcelId, api.workerId),
      );
    const [first = "", second = "", third = ""] = lookupIds;
    await ageBeat(client, api.workerId, "9 seconds");
    await sweep(client);
    expect(await recordLookups(client, [found(first), found(second)], api.workerId)).toEqual([]);
    expect(await deathsOf(client, api.workerId)).toMatchObject([{ stale_results: 2 }]);
    await beatFor(client, api);
    await recordLookups(client, [found(third)], api.workerId);
    expect(await deathsOf(client, api.workerId)).toMatchObject([{ stale_results: 2 }]);
    expect(
      await one(client, "select stale_results from bookpost_private.workers where id = $1", [
        api.workerId,
      ]),
    ).toEqual({ stale_results: 1 });
  },
  {
    "nobody counts for the dead": {
      function: "bookpost_private.record_lookups",
      from: "update bookpost_private.worker_deaths d set stale_results = d.stale_results + v_stale",
      to: "update bookpost_private.worker_deaths d set stale_results = d.stale_results",
    },
  },
);

testRule(
  db,
  "who dies twice has two deaths, and late answers count for the second",
  async (client) => {
    const api = await makeApi(client);
    const { parcelId } = await trackBook(client, api.code);
    const lookupId = await permitFor(client, parcelId, api.workerId);
    for (const found of ["1 hour", "0"]) {
      await ageBeat(client, api.workerId, "9 seconds");
      await sweep(client);
      await client.query(
        "update bookpost_private.worker_deaths set found_at = found_at - $1::interval",
        [found],
      );
      await beatFor(client, api);
    }
    await client.query("delete from bookpost_private.workers where id = $1", [api.workerId]);
    await recordLookups(client, [found(lookupId)], api.workerId);
    const { rows } = await client.query(
      "select stale_results from bookpost_private.worker_deaths where worker_id = $1 order by found_at",
      [api.workerId],
    );
    expect(rows).toEqual([{ stale_results: 0 }, { stale_results: 1 }]);
  },
  {
    "all its deaths are counted up": {
      function: "bookpost_private.record_lookups",
      from: "and d.found_at = (select max(m.found_at) from bookpost_private.worker_deaths m where m.worker_id = record_lookups.worker_id)",
      to: "",
    },
  },
);

testRule(
  db,
  "a beat in the future, since the clock was set back, counts from now: death comes five seconds later, not an hour",
  async (client) => {
    await makeWorker(client, "witness");
    await makeWorker(client, "ahead", { silentFor: "-1 hour" });
    await sweep(client);
    expect(await workerIds(client)).toEqual(["ahead", "witness"]);
    await ageBeat(client, "ahead", "7 seconds");
    await sweep(client);
    expect(await workerIds(client)).toEqual(["witness"]);
  },
  {
    "it is left as it is": {
      function: SWEEP,
      from: "where f.beat_at > v_now + interval '1 second'",
      to: "where false",
    },
  },
);

testRule(
  db,
  "deaths are kept for thirty days",
  async (client) => {
    for (const age of ["29 days", "31 days"])
      await client.query(
        `insert into bookpost_private.worker_deaths (worker_id, host_name, process_id, started_at, beat_at, found_at)
         values ($1::text, 'test', 0, now(), now(), clock_timestamp() - $1::text::interval)`,
        [age],
      );
    await dispatch(client);
    const { rows } = await client.query("select worker_id from bookpost_private.worker_deaths");
    expect(rows).toEqual([{ worker_id: "29 days" }]);
  },
  {
    "for ever": {
      function: SWEEP,
      from: "where d.found_at < v_now - interval '30 days'",
      to: "where false",
    },
  },
);

test("a death that two sweepers find at once is written once, and neither waits for the other", async () => {
  await dispatchedAgo(db.pool, "0");
  await makeWorker(db.pool, "witness");
  await makeWorker(db.pool, "dead", { silentFor: "1 minute" });
  const [first, second] = [await openClient(db.url), await openClient(db.url)];
  await first.query("begin");
  await sweep(first);
  await withoutWaiting(db.pool, second, sweep(second));
  await first.query("commit");
  await makeWorker(db.pool, "witness");
  await sweep(second);
  expect(await deathsOf(second, "dead")).toEqual([{ interrupted_lookups: 0, stale_results: 0 }]);
});
