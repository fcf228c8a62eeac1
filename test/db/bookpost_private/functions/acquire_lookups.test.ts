import { randomUUID } from "node:crypto";
import type { ClientBase } from "pg";
import { describe, expect, test } from "vitest";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { ageBudget, makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, beatFor, lateInTheDay, makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { found } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function someParcels(count: number, limits: ApiLimits = {}, isConfigured = true) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits, { isConfigured });
  const parcelIds: string[] = [];
  for (let i = 0; i < count; i++) parcelIds.push((await trackBook(client, api.code)).parcelId);
  await makeDue(client, ...parcelIds);
  const acquire = (ids = parcelIds) => acquireLookups(client, ids, api.workerId);
  const words = async () => (await acquire()).map(({ verdict }) => verdict);
  return { client, api, parcelIds, acquire, words };
}

function budgetOf(client: ClientBase, apiCode: string) {
  return one<{ day_calls: number }>(
    client,
    "select * from bookpost_private.budgets where api_code = $1",
    [apiCode],
  );
}

test("a due parcel gets a permit with its number, and a lease that names worker and end", async () => {
  const { client, api, parcelIds, acquire } = await someParcels(1);
  const [permit] = await acquire();
  expect(permit).toMatchObject({
    verdict: "permit",
    parcelId: parcelIds[0],
    apiCode: api.code,
    waitMs: 0,
    trackingNumber: expect.stringMatching(/^N[0-9A-F]{16}$/),
  });
  expect(
    await one(
      client,
      `select parcel_id, generation, is_probe, worker_id, (lease_until - started_at)::text as length
       from bookpost_private.leases`,
    ),
  ).toEqual({
    parcel_id: parcelIds[0],
    generation: 1,
    is_probe: false,
    worker_id: api.workerId,
    length: "00:01:40",
  });
});

test("there is one verdict for each id, in the order asked", async () => {
  const { client, api, parcelIds } = await someParcels(3);
  const stranger = randomUUID();
  const [first, second, third] = parcelIds as [string, string, string];
  const verdicts = await acquireLookups(
    client,
    [third, stranger, first, third, second],
    api.workerId,
  );
  expect(verdicts.map(({ parcelId, verdict }) => [parcelId, verdict])).toEqual([
    [third, "permit"],
    [stranger, "gone"],
    [first, "permit"],
    [third, "busy"],
    [second, "permit"],
  ]);
});

test("asking for nothing gives nothing", async () => {
  const { acquire } = await someParcels(0);
  expect(await acquire([])).toEqual([]);
});

test("a parcel under way is busy until its lookup is recorded, and then not due", async () => {
  const { client, api, acquire, words } = await someParcels(1);
  const [permit] = await acquire();
  expect(await words()).toEqual(["busy"]);
  if (permit?.verdict === "permit")
    await recordLookups(client, [found(permit.lookupId)], api.workerId);
  expect(await words()).toEqual(["not_due"]);
});

test.each([
  ["closed", "closed"],
  ["no_api", "no_api"],
  ["quarantined", "quarantined"],
])("a parcel that is %s gets the verdict %s", async (reason, verdict) => {
  const { client, words } = await someParcels(1);
  await client.query("update bookpost_private.checks set next_check_at = null, pause_reason = $1", [
    reason,
  ]);
  expect(await words()).toEqual([verdict]);
});

test("a parcel that is not due is told when it will be", async () => {
  const { client, parcelIds, acquire } = await someParcels(1);
  await client.query(
    "update bookpost_private.checks set next_check_at = '2100-01-01T00:00:00Z' where parcel_id = $1",
    parcelIds,
  );
  expect(await acquire()).toEqual([
    {
      verdict: "not_due",
      parcelId: parcelIds[0],
      retryAt: new Date("2100-01-01"),
      retryInMs: expect.closeTo(Date.UTC(2100, 0, 1) - Date.now(), -5),
    },
  ]);
});

describe.each([
  ["with a worker that has beaten", true],
  ["before the first beat", false],
])("%s", (_, isConfigured) => {
  test("an API that told us to wait is not asked, and the refusal writes nothing", async () => {
    const { client, api, acquire } = await someParcels(2, {}, isConfigured);
    await client.query(
      `update bookpost_private.budgets set not_before = '2100-01-01T00:00:00Z', not_before_reason = 'rate_limited'
       where api_code = $1`,
      [api.code],
    );
    const before = await tableDigests(client);
    const verdicts = await acquire();
    expect(verdicts).toMatchObject([
      { verdict: "not_before", retryAt: new Date("2100-01-01") },
      { verdict: "not_before", retryAt: new Date("2100-01-01") },
    ]);
    expect(await tableDigests(client)).toEqual(before);
  });

  test("a parked API is not asked", async () => {
    const { client, api, acquire } = await someParcels(1, {}, isConfigured);
    await client.query(
      "update bookpost_private.budgets set parked_at = now(), parked_reason = 'REJECTED' where api_code = $1",
      [api.code],
    );
    expect(await acquire()).toMatchObject([{ verdict: "parked", retryAt: null }]);
  });

  test("an open circuit is not asked", async () => {
    const { client, api, words } = await someParcels(1, {}, isConfigured);
    await client.query("select bookpost_private.force_circuit($1, 'open', 'ann', 'test')", [
      api.code,
    ]);
    expect(await words()).toEqual(["circuit_open"]);
  });

  test("an API in order is asked", async () => {
    const { words } = await someParcels(1, {}, isConfigured);
    expect(await words()).toEqual(["permit"]);
  });
});

test("an API that is out of its waiting is asked again", async () => {
  const { client, api, words } = await someParcels(1);
  await client.query(
    `update bookpost_private.budgets set not_before = now() + interval '1 minute', not_before_reason = 'rate_limited'
     where api_code = $1`,
    [api.code],
  );
  await ageBudget(client, api.code, "61 seconds");
  expect(await words()).toEqual(["permit"]);
});

test("the worker whose credentials were refused stays refused when another worker ends the parking", async () => {
  const { client, api, words, parcelIds } = await someParcels(1);
  const other = { code: api.code, workerId: `${api.workerId}_2` };
  await client.query(
    "update bookpost_private.budgets set parked_at = now(), parked_reason = 'REJECTED', parked_fingerprint = 'first credentials' where api_code = $1",
    [api.code],
  );
  await beatFor(client, other, "second credentials");
  expect(await words()).toEqual(["parked"]);
  const [verdict] = await acquireLookups(client, parcelIds, other.workerId);
  expect(verdict).toMatchObject({ verdict: "permit" });
});

describe("limits", () => {
  test("no more lookups are in flight than the API allows", async () => {
    const { client, words } = await someParcels(5, { calls_in_flight: 3 });
    expect((await words()).toSorted()).toEqual([
      "no_budget",
      "no_budget",
      "permit",
      "permit",
      "permit",
    ]);
    expect((await words()).toSorted()).toEqual(["busy", "busy", "busy", "no_budget", "no_budget"]);
    await client.query(
      "delete from bookpost_private.leases where lookup_id = (select lookup_id from bookpost_private.leases limit 1)",
    );
    expect((await words()).filter((word) => word === "permit")).toHaveLength(1);
  });

  test("one API's full house leaves another's alone, in the same batch", async () => {
    const { client, parcelIds } = await someParcels(2, { calls_in_flight: 1 });
    const other = await makeApi(client, { calls_in_flight: 1 });
    const { parcelId } = await trackBook(client, other.code);
    const verdicts = await acquireLookups(client, [...parcelIds, parcelId], "worker");
    expect(verdicts.map(({ verdict }) => verdict).toSorted()).toEqual([
      "no_budget",
      "permit",
      "permit",
    ]);
    expect(verdicts[2]).toMatchObject({ verdict: "permit", apiCode: other.code });
  });

  test("the day's allowance is exact, and the refusal names the API's own midnight", async () => {
    const zone = lateInTheDay();
    const { client, api, acquire } = await someParcels(5, {
      calls_per_day: 3,
      day_time_zone: zone,
    });
    const verdicts = await acquire();
    expect(verdicts.filter(({ verdict }) => verdict === "permit")).toHaveLength(3);
    const { midnight } = await one<{ midnight: Date }>(
      client,
      `select (((now() at time zone $1)::date + 1)::timestamp) at time zone $1 + interval '5 seconds' as midnight`,
      [zone],
    );
    expect(verdicts.filter(({ verdict }) => verdict === "no_budget")).toMatchObject([
      { retryAt: midnight },
      { retryAt: midnight },
    ]);
    expect((await budgetOf(client, api.code)).day_calls).toBe(3);
  });

  test("a new day has its whole allowance", async () => {
    const { client, api, acquire } = await someParcels(5, { calls_per_day: 3 });
    await acquire();
    await client.query("delete from bookpost_private.leases");
    await ageBudget(client, api.code, "1 day");
    const verdicts = await acquire();
    expect(verdicts.filter(({ verdict }) => verdict === "permit")).toHaveLength(3);
    expect((await budgetOf(client, api.code)).day_calls).toBe(3);
  });

  test("one call every 5 seconds: permits are spaced, and beyond 5 seconds refused, each with a later time", async () => {
    const { client, api, acquire } = await someParcels(6, {
      call_windows: { "5 seconds": 1 },
    });
    const verdicts = await acquire();
    const permits = verdicts.filter((v) => v.verdict === "permit");
    expect(permits).toMatchObject([{ waitMs: 0, useWithinMs: 400 }]);
    const refusals = verdicts.filter((v) => v.verdict !== "permit");
    expect(refusals.map(({ verdict }) => verdict)).toEqual(Array(5).fill("no_budget"));

    const { next_call_at } = await one<{ next_call_at: Date }>(
      client,
      "select next_call_at from bookpost_private.call_windows where api_code = $1",
      [api.code],
    );
    // 5 seconds and a tenth of them, at most half a second: what a late caller may be late by.
    expect(refusals.map((v) => "retryAt" in v && Number(v.retryAt) - Number(next_call_at))).toEqual(
      [0, 5500, 11_000, 16_500, 22_000],
    );
  });

  test("a pace of 10 a second: the permits of one batch are a tenth of a second apart", async () => {
    const { acquire } = await someParcels(20, { call_windows: { "1 second": 10 } });
    const waits = (await acquire())
      .map((v) => (v.verdict === "permit" ? v.waitMs : -1))
      .toSorted((a, b) => a - b);
    // (1 s + 100 ms) / 10 between two; a permit is used within 80 ms.
    expect(waits).toEqual(Array.from({ length: 20 }, (_, i) => i * 110));
  });

  test("calls at the edges of their permits never make more than the allowed in any window", async () => {
    const { acquire } = await someParcels(40, { call_windows: { "1 second": 4 } });
    const permits = (await acquire()).filter((v) => v.verdict === "permit");
    for (const [i, permit] of permits.entries()) {
      const fifth = permits[i + 4];
      if (!fifth) break;
      // As late as allowed, then as early as allowed.
      expect(fifth.waitMs - (permit.waitMs + permit.useWithinMs)).toBeGreaterThanOrEqual(1000);
    }
    expect(permits.length).toBeGreaterThan(10);
  });

  test("the longest overdue parcels go first", async () => {
    const { client, parcelIds, acquire } = await someParcels(4, { calls_in_flight: 1 });
    await client.query(
      "update bookpost_private.checks set next_check_at = now() - interval '1 day' where parcel_id = $1",
      [parcelIds[2]],
    );
    const verdicts = await acquire();
    expect(verdicts.find(({ verdict }) => verdict === "permit")?.parcelId).toBe(parcelIds[2]);
  });

  test("asking costs an API without limits of its own no more than the day's count", async () => {
    const { client, api, parcelIds } = await someParcels(1);
    await permitFor(client, parcelIds[0] ?? "");
    expect((await budgetOf(client, api.code)).day_calls).toBe(1);
  });
});
