import type { ClientBase } from "pg";
import { describe, expect, test } from "vitest";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, beatFor, makeApi, type TestApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function oneParcel(limits: ApiLimits = {}) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits);
  const { parcelId } = await trackBook(client, api.code);
  return { client, api, parcelId };
}

/** The budget; `hold` is how long the API waits from the last look on, in seconds. */
function budgetOf(client: ClientBase, api: TestApi) {
  return one<{
    day_calls: number;
    hold: number | null;
    not_before: Date | null;
    not_before_reason: string | null;
    parked_at: Date | null;
    parked_reason: string | null;
    xmin: string;
  }>(
    client,
    `select b.xmin::text || ' ' || b.ctid as xmin, b.*,
       extract(epoch from not_before - (select max(last_looked_at) from bookpost_private.checks where api_code = b.api_code))::double precision as hold
     from bookpost_private.budgets b where api_code = $1`,
    [api.code],
  );
}

const call = (kind: string) => ({ kind, http_status: 200, age_ms: 1, duration_ms: 1 });

describe("calls of the day", () => {
  test("a lookup of one call costs what its permit paid, and its end does not write the budget", async () => {
    const { client, api, parcelId } = await oneParcel();
    const lookupId = await permitFor(client, parcelId);
    const before = await budgetOf(client, api);
    expect(before.day_calls).toBe(1);
    await recordLookups(client, [found(lookupId)], "worker");
    expect(await budgetOf(client, api)).toMatchObject({ day_calls: 1, xmin: before.xmin });
  });

  test.each([
    ["a token fetched on the way", [call("token"), call("lookup")], 2],
    [
      "a token refused, fetched again, and the lookup tried twice",
      ["token", "lookup", "token", "lookup"].map(call),
      4,
    ],
    ["no call at all", [], 0],
  ])("%s is counted", async (_, calls, expected) => {
    const { client, api, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) => found(id, { calls }));
    expect((await budgetOf(client, api)).day_calls).toBe(expected);
  });

  test("what one lookup saved and another overdrew in one batch adds up", async () => {
    const { client, api, parcelId } = await oneParcel();
    const other = await trackBook(client, api.code);
    const a = await permitFor(client, parcelId);
    const b = await permitFor(client, other.parcelId);
    await recordLookups(
      client,
      [
        failed(a, "local", { calls: [] }),
        found(b, { calls: ["token", "token", "lookup"].map(call) }),
      ],
      "worker",
    );
    expect((await budgetOf(client, api)).day_calls).toBe(3);
  });

  test("what yesterday's permit overdrew is not counted to today", async () => {
    const { client, api, parcelId } = await oneParcel();
    const lookupId = await permitFor(client, parcelId);
    await client.query("update bookpost_private.budgets set day = day - 1 where api_code = $1", [
      api.code,
    ]);
    await recordLookups(client, [found(lookupId, { calls: [call("token"), call("lookup")] })], "w");
    expect((await budgetOf(client, api)).day_calls).toBe(1);
  });
});

test("what was paid for yesterday and not sent is not given back to today", async () => {
  const { client, api, parcelId } = await oneParcel();
  const other = await trackBook(client, api.code);
  const yesterdays = await permitFor(client, parcelId);
  await client.query(
    "update bookpost_private.leases set call_at = call_at - interval '1 day' where lookup_id = $1",
    [yesterdays],
  );
  await permitFor(client, other.parcelId);
  const before = (await budgetOf(client, api)).day_calls;
  await recordLookups(client, [failed(yesterdays, "local", { calls: [] })], "worker");
  expect((await budgetOf(client, api)).day_calls).toBe(before);
});

describe("a carrier that asks us to slow down", () => {
  test.each([
    ["two minutes", 120_000, 120],
    ["nothing", null, 60],
    ["no time at all", 0, 1],
    ["a time that has passed", -5000, 1],
    ["a millisecond", 1, 1],
    ["a week", 604_800_000, 86_400],
    ["for ever", 1e300, 86_400],
  ])("and says %s holds the whole API for that long, within reason", async (_, ms, seconds) => {
    const { client, api, parcelId } = await oneParcel();
    const other = await trackBook(client, api.code);
    await lookUp(client, parcelId, (id) => failed(id, "rate_limited", { retry_after_ms: ms }));
    expect(await budgetOf(client, api)).toMatchObject({
      hold: seconds,
      not_before_reason: "rate_limited",
    });
    await makeDue(client, other.parcelId);
    await expect(permitFor(client, other.parcelId)).rejects.toThrow("no permit: not_before");
  });

  test("a shorter wait does not shorten a longer one", async () => {
    const { client, api, parcelId } = await oneParcel();
    const other = await trackBook(client, api.code);
    const a = await permitFor(client, parcelId);
    const b = await permitFor(client, other.parcelId);
    await recordLookups(client, [failed(a, "rate_limited", { retry_after_ms: 3_600_000 })], "w");
    const { not_before } = await budgetOf(client, api);
    await recordLookups(client, [failed(b, "rate_limited", { retry_after_ms: 1000 })], "w");
    expect((await budgetOf(client, api)).not_before).toEqual(not_before);
  });

  test("in one batch the longest wait wins", async () => {
    const { client, api, parcelId } = await oneParcel();
    const other = await trackBook(client, api.code);
    const a = await permitFor(client, parcelId);
    const b = await permitFor(client, other.parcelId);
    await recordLookups(
      client,
      [
        failed(a, "rate_limited", { retry_after_ms: 3_600_000 }),
        failed(b, "rate_limited", { retry_after_ms: 1000 }),
      ],
      "w",
    );
    expect((await budgetOf(client, api)).hold).toBe(3600);
  });

  test("does not hold another API", async () => {
    const { client, parcelId } = await oneParcel();
    const other = await makeApi(client);
    const elsewhere = await trackBook(client, other.code);
    await lookUp(client, parcelId, (id) => failed(id, "rate_limited"));
    await permitFor(client, elsewhere.parcelId);
  });
});

describe("a spent allowance", () => {
  test("without a time holds the API until seconds after its own midnight", async () => {
    const { client, api, parcelId } = await oneParcel({ day_time_zone: "America/New_York" });
    await lookUp(client, parcelId, (id) => failed(id, "out_of_quota"));
    const { midnight } = await one<{ midnight: Date }>(
      client,
      `select (((now() at time zone 'America/New_York')::date + 1)::timestamp) at time zone 'America/New_York' + interval '5 seconds' as midnight`,
    );
    expect(await budgetOf(client, api)).toMatchObject({
      not_before: midnight,
      not_before_reason: "out_of_quota",
    });
  });

  test("with a time holds it until then", async () => {
    const { client, api, parcelId } = await oneParcel();
    await lookUp(client, parcelId, (id) =>
      failed(id, "out_of_quota", { retry_after_ms: 1_800_000 }),
    );
    expect((await budgetOf(client, api)).hold).toBe(1800);
  });
});

describe("refused credentials", () => {
  const refuse = (id: string) =>
    failed(id, "rejected", { is_api_wide: true, error_code: "HTTP_401" });

  test("park the API; nobody is let through", async () => {
    const { client, api, parcelId } = await oneParcel();
    const other = await trackBook(client, api.code);
    await lookUp(client, parcelId, refuse, api.workerId);
    expect(await budgetOf(client, api)).toMatchObject({ parked_reason: "HTTP_401" });
    await expect(permitFor(client, other.parcelId, api.workerId)).rejects.toThrow("parked");
  });

  test("a beat with the same credentials does not end the parking", async () => {
    const { client, api, parcelId } = await oneParcel();
    await lookUp(client, parcelId, refuse, api.workerId);
    await beatFor(client, api);
    expect((await budgetOf(client, api)).parked_at).not.toBeNull();
  });

  test("a beat with other credentials ends it, and the parcel is due at once", async () => {
    const { client, api, parcelId } = await oneParcel();
    await lookUp(client, parcelId, refuse, api.workerId);
    await beatFor(client, api, "second credentials");
    expect(await budgetOf(client, api)).toMatchObject({ parked_at: null, parked_reason: null });
    const { rows } = await client.query(
      "select from bookpost_private.checks where parcel_id = $1 and next_check_at <= clock_timestamp()",
      [parcelId],
    );
    expect(rows).toHaveLength(1);
    await permitFor(client, parcelId, api.workerId);
  });

  test("a beat of a worker that cannot ask this API does not end it", async () => {
    const { client, api, parcelId } = await oneParcel();
    await lookUp(client, parcelId, refuse, api.workerId);
    const stranger = await makeApi(client);
    await beatFor(client, stranger);
    expect((await budgetOf(client, api)).parked_at).not.toBeNull();
  });

  test("do not touch the circuit", async () => {
    const { client, api, parcelId } = await oneParcel({ failure_threshold: 1 });
    await lookUp(client, parcelId, refuse, api.workerId);
    const { rows } = await client.query(
      "select state, consecutive_failures from bookpost.carrier_circuits where api_code = $1",
      [api.code],
    );
    expect(rows).toEqual([{ state: "closed", consecutive_failures: 0 }]);
  });
});
