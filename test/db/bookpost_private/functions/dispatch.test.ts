import { describe, expect, test } from "vitest";
import { trackBookPayload } from "../../../../src/jobs/trackBookPayload.ts";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { ageBeat, ageCircuit, makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { jobsOf, lockJob } from "../../../helpers/jobsOf.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, beatFor, makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function someParcels(count: number, limits: ApiLimits = {}, isConfigured = true) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits, { isConfigured });
  const parcelIds: string[] = [];
  for (let i = 0; i < count; i++) parcelIds.push((await trackBook(client, api.code)).parcelId);
  await makeDue(client, ...parcelIds);
  const jobs = () => jobsOf(client, ...parcelIds);
  const dispatched = async () => (await dispatch(client)).find((row) => row.apiCode === api.code);
  return { client, api, parcelIds, jobs, dispatched };
}

describe("a due parcel gets one job", () => {
  test("with the parcel's key and id, three attempts, ready to run", async () => {
    const { parcelIds, jobs, dispatched } = await someParcels(1);
    expect(await dispatched()).toMatchObject({ dispatched: 1, reason: null });
    const [job, ...more] = await jobs();
    expect(more).toEqual([]);
    expect(job).toMatchObject({
      key: `parcel:${parcelIds[0]}`,
      payload: { parcelId: parcelIds[0] },
      attempts: 0,
      max_attempts: 3,
      locked_by: null,
    });
    expect(trackBookPayload.parse(job?.payload)).toEqual({ parcelId: parcelIds[0] });
    expect(job?.run_at.getTime()).toBeLessThanOrEqual(Date.now());
  });

  test("though two owners' books share it", async () => {
    const { client, api, jobs, dispatched } = await someParcels(0);
    const { parcelId, number } = await trackBook(client, api.code);
    await trackBook(client, api.code, { number, owner: await makeUser(client) });
    expect(await dispatched()).toMatchObject({ dispatched: 1 });
    expect(await jobs()).toHaveLength(0);
    expect(await jobsOf(client, parcelId)).toHaveLength(1);
  });

  test("and no second one while the first is queued", async () => {
    const { jobs, dispatched } = await someParcels(3);
    expect(await dispatched()).toMatchObject({ dispatched: 3 });
    const before = await jobs();
    expect(await dispatched()).toMatchObject({ dispatched: 0 });
    expect(await jobs()).toEqual(before);
  });

  test("and no second one while a worker runs the first", async () => {
    const { client, api, parcelIds, dispatched } = await someParcels(1);
    await dispatched();
    await lockJob(client, parcelIds[0] ?? "", api.workerId);
    expect(await dispatched()).toMatchObject({ dispatched: 0 });
  });

  test("and none while it is being looked up", async () => {
    const { client, parcelIds, dispatched } = await someParcels(1);
    await permitFor(client, parcelIds[0] ?? "");
    expect(await dispatched()).toMatchObject({ dispatched: 0 });
  });

  test("and none when it is not due", async () => {
    const { client, parcelIds, dispatched } = await someParcels(1);
    await lookUp(client, parcelIds[0] ?? "", (id) => found(id));
    expect(await dispatched()).toMatchObject({ dispatched: 0 });
  });

  test("again when the first was lost with the whole queue", async () => {
    const { client, dispatched } = await someParcels(5);
    await dispatched();
    await client.query("delete from graphile_worker._private_jobs");
    expect(await dispatched()).toMatchObject({ dispatched: 5 });
  });

  test("also when the old one is stranded: locked for longer than any lookup takes, by a worker that lives", async () => {
    const { client, api, parcelIds, jobs, dispatched } = await someParcels(1);
    await dispatched();
    await lockJob(client, parcelIds[0] ?? "", api.workerId, "6 minutes");
    const { rows } = await client.query("select kind from bookpost_ops.stuck");
    expect(rows).toEqual([{ kind: "job" }]);
    expect(await dispatched()).toMatchObject({ dispatched: 1 });
    expect(await jobs()).toMatchObject([{ locked_by: null }]);
    expect((await client.query("select from bookpost_ops.stuck")).rows).toEqual([]);
  });
});

describe("a parcel that waits for a person gets none", () => {
  test.each(["closed", "no_api", "quarantined"])("%s", async (reason) => {
    const { client, dispatched } = await someParcels(1);
    await client.query(
      "update bookpost_private.checks set next_check_at = null, pause_reason = $1",
      [reason],
    );
    expect(await dispatched()).toMatchObject({ dispatched: 0 });
  });
});

describe("an API that must not be asked gets none, and the reason is told", () => {
  test("its circuit is open", async () => {
    const { client, api, dispatched } = await someParcels(2);
    await client.query("select bookpost_private.force_circuit($1, 'open', 'ann', 'test')", [
      api.code,
    ]);
    expect(await dispatched()).toMatchObject({ dispatched: 0, reason: "circuit_open" });
  });

  test("its probe is out", async () => {
    const { client, api, parcelIds, dispatched } = await someParcels(2, { failure_threshold: 1 });
    await lookUp(client, parcelIds[0] ?? "", (id) => failed(id, "unavailable"));
    await ageCircuit(client, api.code, "31 minutes");
    await permitFor(client, parcelIds[1] ?? "");
    expect(await dispatched()).toMatchObject({ dispatched: 0, reason: "circuit_half_open" });
  });

  test("it is parked", async () => {
    const { client, api, dispatched } = await someParcels(1);
    await client.query(
      "update bookpost_private.budgets set parked_at = now(), parked_reason = 'x' where api_code = $1",
      [api.code],
    );
    expect(await dispatched()).toMatchObject({ dispatched: 0, reason: "parked" });
  });

  test("it told us to wait", async () => {
    const { client, parcelIds, dispatched } = await someParcels(2);
    await lookUp(client, parcelIds[0] ?? "", (id) => failed(id, "rate_limited"));
    expect(await dispatched()).toMatchObject({ dispatched: 0, reason: "not_before" });
  });

  test("its day is spent", async () => {
    const { client, parcelIds, dispatched } = await someParcels(2, { calls_per_day: 1 });
    await lookUp(client, parcelIds[0] ?? "", (id) => found(id));
    expect(await dispatched()).toMatchObject({ dispatched: 0, reason: "no_budget" });
  });

  test("no worker has credentials for it", async () => {
    const { dispatched } = await someParcels(1, {}, false);
    expect(await dispatched()).toMatchObject({ dispatched: 0, reason: "not_configured" });
  });

  test("the only worker that has them is dead", async () => {
    const { client, api, dispatched } = await someParcels(1);
    await ageBeat(client, api.workerId, "9 seconds");
    expect(await dispatched()).toMatchObject({ dispatched: 0, reason: "not_configured" });
  });

  test("the only living worker has the credentials that were refused", async () => {
    const { client, api, parcelIds, dispatched } = await someParcels(1);
    const other = { code: api.code, workerId: `${api.workerId}_2` };
    await lookUp(
      client,
      parcelIds[0] ?? "",
      (id) => failed(id, "rejected", { is_api_wide: true }),
      api.workerId,
    );
    await beatFor(client, other, "second credentials");
    await ageBeat(client, other.workerId, "9 seconds");
    await makeDue(client, ...parcelIds);
    expect((await dispatched())?.dispatched).toBe(0);
  });
});

describe("how many, and when", () => {
  test("when a cooldown has passed, one job goes, for a parcel that did not fail last", async () => {
    const { client, api, parcelIds, jobs, dispatched } = await someParcels(5, {
      failure_threshold: 1,
    });
    const [bad = ""] = parcelIds;
    await lookUp(client, bad, (id) => failed(id, "unavailable"));
    await ageCircuit(client, api.code, "31 minutes");
    await client.query(
      "update bookpost_private.checks set next_check_at = now() - interval '1 day' where parcel_id = $1",
      [bad],
    );
    expect(await dispatched()).toMatchObject({ dispatched: 1, reason: "probe" });
    expect((await jobs()).map(({ key }) => key)).not.toContain(`parcel:${bad}`);
  });

  test("where the failed one is all there is, it is the probe", async () => {
    const { client, api, parcelIds, dispatched } = await someParcels(1, { failure_threshold: 1 });
    await lookUp(client, parcelIds[0] ?? "", (id) => failed(id, "unavailable"));
    await ageCircuit(client, api.code, "31 minutes");
    await makeDue(client, ...parcelIds);
    expect(await dispatched()).toMatchObject({ dispatched: 1, reason: "probe" });
  });

  test("run_at is spread at the API's pace, no more than the coming minute holds, the longest overdue first", async () => {
    const { client, parcelIds, jobs, dispatched } = await someParcels(15, {
      call_windows: { "5 seconds": 1 },
    });
    for (const [i, parcelId] of parcelIds.entries())
      await client.query(
        "update bookpost_private.checks set next_check_at = now() - make_interval(secs => $2) where parcel_id = $1",
        [parcelId, i],
      );
    // One at once, and one every 5.5 s of the coming 60 s.
    expect(await dispatched()).toMatchObject({ dispatched: 11 });
    const queued = await jobs();
    const start = queued[0]?.run_at.getTime() ?? 0;
    expect(queued.map(({ run_at }) => run_at.getTime() - start)).toEqual(
      Array.from({ length: 11 }, (_, i) => i * 5500),
    );
    expect(queued.map(({ key }) => key)).toEqual(
      parcelIds
        .toReversed()
        .slice(0, 11)
        .map((id) => `parcel:${id}`),
    );
  });

  test("an API slower than one call a minute still gets one", async () => {
    const { dispatched } = await someParcels(3, { call_windows: { "1 hour": 1 } });
    expect(await dispatched()).toMatchObject({ dispatched: 1 });
  });

  test("no more than what is left of the day", async () => {
    const { client, parcelIds, dispatched } = await someParcels(10, { calls_per_day: 4 });
    await lookUp(client, parcelIds[0] ?? "", (id) => found(id));
    expect(await dispatched()).toMatchObject({ dispatched: 3 });
  });

  test("one API's trouble leaves the others' jobs alone", async () => {
    const { client, api } = await someParcels(2);
    const other = await makeApi(client);
    const { parcelId } = await trackBook(client, other.code);
    await client.query("select bookpost_private.force_circuit($1, 'open', 'ann', 'test')", [
      api.code,
    ]);
    const rows = await dispatch(client);
    expect(rows.find(({ apiCode }) => apiCode === other.code)?.dispatched).toBe(1);
    expect(await jobsOf(client, parcelId)).toHaveLength(1);
  });

  test("there is one row for each API, in order", async () => {
    const { client } = await someParcels(0);
    const rows = await dispatch(client);
    const { rows: apis } = await client.query<{ code: string }>(
      "select code from bookpost.carrier_apis order by code",
    );
    expect(rows.map(({ apiCode }) => apiCode)).toEqual(apis.map(({ code }) => code));
  });
});

test("6,000 due parcels of two APIs in one call: each exactly once, and none again in the next", async () => {
  const { client, api } = await someParcels(0);
  const other = await makeApi(client);
  for (const [code, count] of [
    [api.code, 5_500],
    [other.code, 500],
  ])
    await client.query(
      `with p as (
         insert into bookpost.parcels (carrier_code, tracking_number)
         select $1, 'BULK' || n from generate_series(1, $2::integer) n returning id
       )
       insert into bookpost_private.checks (parcel_id, api_code, next_check_at)
       -- Many fall due at the same instant: the scan must not lose its place among them.
       select id, $1, date_trunc('hour', now() - interval '1 day') from p`,
      [code, count],
    );
  const counts = async () =>
    (await dispatch(client))
      .filter(({ apiCode }) => [api.code, other.code].includes(apiCode))
      .map(({ dispatched }) => dispatched)
      .toSorted((a, b) => a - b);
  expect(await counts()).toEqual([500, 5_500]);
  expect(
    await one(
      client,
      `select count(*)::integer as jobs, count(distinct j.key)::integer as keys,
         count(c.parcel_id)::integer as parcels
       from graphile_worker.jobs j left join bookpost_private.checks c on j.key = 'parcel:' || c.parcel_id
       where j.task_identifier = 'track_book'`,
    ),
  ).toEqual({ jobs: 6_000, keys: 6_000, parcels: 6_000 });
  expect(await counts()).toEqual([0, 0]);
});

test("of those that two deaths set aside, the one that is tried goes with the same dispatch", async () => {
  const { client, parcelIds, dispatched } = await someParcels(2);
  await client.query(
    `update bookpost_private.checks set crash_count = 2, next_check_at = null, pause_reason = 'quarantined'
     where parcel_id = any ($1)`,
    [parcelIds],
  );
  expect(await dispatched()).toMatchObject({ dispatched: 1 });
  expect(await dispatched()).toMatchObject({ dispatched: 0 });
});

test("what was dispatched and recorded is dispatched again when it is due, and not before", async () => {
  const { client, api, parcelIds, dispatched } = await someParcels(1);
  const [parcelId = ""] = parcelIds;
  await dispatched();
  const lookupId = await permitFor(client, parcelId, api.workerId);
  await recordLookups(client, [found(lookupId)], api.workerId);
  await client.query("delete from graphile_worker._private_jobs");
  expect(await dispatched()).toMatchObject({ dispatched: 0 });
  await makeDue(client, parcelId);
  expect(await dispatched()).toMatchObject({ dispatched: 1 });
});
