import { describe, expect, test } from "vitest";
import { acquireLookups, type Permit } from "../../../../src/sql/acquireLookups.ts";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { type LookupReport, recordLookups } from "../../../../src/sql/recordLookups.ts";
import { releaseLookups } from "../../../../src/sql/releaseLookups.ts";
import { makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { type ApiLimits, makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function batchApi(count: number, limits: ApiLimits) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits);
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await trackBook(client, api.code)).parcelId);
  await makeDue(client, ...ids);
  const acquire = async () => {
    const verdicts = await acquireLookups(client, ids, api.workerId);
    return verdicts.filter((v): v is Permit => v.verdict === "permit");
  };
  const dayCalls = async () =>
    (
      await one<{ day_calls: number }>(
        client,
        "select day_calls from bookpost_private.budgets where api_code = $1",
        [api.code],
      )
    ).day_calls;
  return { client, api, ids, acquire, dayCalls };
}

function sizes(permits: readonly Permit[]): number[] {
  return [...Map.groupBy(permits, (permit) => permit.batchId).values()].map((b) => b.length).sort();
}

describe("an API that takes three numbers at once", () => {
  test("spends one call for three parcels, and two for four", async () => {
    const { acquire, dayCalls } = await batchApi(4, { batch_size: 3 });
    expect(sizes(await acquire())).toEqual([1, 3]);
    expect(await dayCalls()).toBe(2);
  });

  test("looks up no more than its day's calls, three parcels each", async () => {
    const { acquire, dayCalls } = await batchApi(9, { batch_size: 3, calls_per_day: 2 });
    expect(sizes(await acquire())).toEqual([3, 3]);
    expect(await dayCalls()).toBe(2);
  });

  test("counts requests in flight, not parcels", async () => {
    const { acquire } = await batchApi(9, { batch_size: 3, calls_in_flight: 2 });
    expect(sizes(await acquire())).toEqual([3, 3]);
  });

  test("paces requests, not parcels: those of one batch are called at the same time", async () => {
    const { acquire } = await batchApi(6, {
      batch_size: 3,
      call_windows: { "1 second": 1 },
    });
    const permits = await acquire();
    const waits = [...Map.groupBy(permits, (p) => p.batchId).values()].map(
      (batch) => new Set(batch.map(({ waitMs }) => waitMs)).size,
    );
    expect(waits).toEqual([1, 1]);
    expect(new Set(permits.map(({ waitMs }) => waitMs)).size).toBe(2);
  });

  test("one request told once for the batch is one call, as the permit paid for", async () => {
    const { client, api, acquire, dayCalls } = await batchApi(3, { batch_size: 3 });
    const permits = await acquire();
    const reports = permits.map(({ lookupId }, i): LookupReport => {
      const report = found(lookupId);
      return i === 0 ? report : { ...report, calls: [] };
    });
    await recordLookups(client, reports, api.workerId);
    expect(await dayCalls()).toBe(1);
  });

  test("gives no call back when one of a batch was not used: the others may have sent it", async () => {
    const { client, acquire, dayCalls } = await batchApi(3, { batch_size: 3 });
    const [first] = await acquire();
    await releaseLookups(client, [first?.lookupId ?? ""], "a test");
    expect(await dayCalls()).toBe(1);
  });

  test("has its jobs dispatched three at a time, at the pace of its requests", async () => {
    const { client, api } = await batchApi(6, {
      batch_size: 3,
      call_windows: { "10 seconds": 1 },
    });
    expect(await dispatch(client)).toContainEqual({
      apiCode: api.code,
      reason: null,
      dispatched: 6,
    });
    const { rows } = await client.query<{ jobs: number }>(
      `select count(*)::integer as jobs from graphile_worker.jobs where task_identifier = 'track_book'
       group by run_at order by run_at`,
    );
    expect(rows.map(({ jobs }) => jobs)).toEqual([3, 3]);
  });
});
