import { describe, expect, test } from "vitest";
import { confirmLookups } from "../../../../src/sql/confirmLookups.ts";
import { payCall } from "../../../../src/sql/payCall.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { releaseLookups } from "../../../../src/sql/releaseLookups.ts";
import { ageCircuit } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, makeApi, zoneAt } from "../../../helpers/makeApi.ts";
import { dueParcels, permitsFor } from "../../../helpers/permits.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const call = (kind: string) => ({ kind, http_status: 200, age_ms: 1, duration_ms: 1 });

/** A lookup under way, whose permit has paid for its first request. */
async function underWay(limits: ApiLimits = {}) {
  const client = await rolledBack(db);
  const api = await makeApi(client, { min_check_interval: "0", ...limits });
  const { parcelId, bookId } = await trackBook(client, api.code);
  const lookupId = await permitFor(client, parcelId, api.workerId);
  return {
    client,
    api,
    parcelId,
    bookId,
    lookupId,
    pay: (kind: "lookup" | "token" | "register" = "token") => payCall(client, lookupId, kind),
    confirm: async () => (await confirmLookups(client, [lookupId]))[0]?.refusal,
    dayCalls: async () =>
      (
        await client.query<{ day_calls: number }>(
          "select day_calls from bookpost_private.budgets where api_code = $1",
          [api.code],
        )
      ).rows[0]?.day_calls,
  };
}

describe("one more request", () => {
  test("waits for its turn by the API's pace, and takes it from the next lookup", async () => {
    const { client, api, pay } = await underWay({ call_windows: { "2 seconds": 1 } });
    // (2 s + 200 ms slack), and to be used within 160 ms.
    const payment = await pay();
    expect(payment).toMatchObject({ refusal: null, useWithinMs: 160 });
    const waitMs = payment.refusal === null ? payment.waitMs : 0;
    expect(waitMs).toBeGreaterThan(2000);
    expect(waitMs).toBeLessThanOrEqual(2200);
    const other = await trackBook(client, api.code);
    const { rows } = await client.query<{ wait_ms: number }>(
      "select wait_ms from bookpost_private.acquire_lookups(array[$1::uuid], $2)",
      [other.parcelId, api.workerId],
    );
    expect(rows[0]?.wait_ms).toBeGreaterThan(waitMs + 2000);
  });

  test("is refused where its turn is far away, and nothing is spent", async () => {
    const { pay, dayCalls } = await underWay({ call_windows: { "50 seconds": 1 } });
    const payment = await pay();
    expect(payment).toMatchObject({ refusal: "no_budget" });
    // (50 s + 916.7 ms slack) after the first.
    expect("retryInMs" in payment && payment.retryInMs).toBeCloseTo(50_917, -2);
    expect(await dayCalls()).toBe(1);
  });

  test("counts for the day, and is not counted again when the lookup is recorded", async () => {
    const { client, lookupId, pay, dayCalls } = await underWay();
    await pay("token");
    await pay("lookup");
    expect(await dayCalls()).toBe(3);
    await recordLookups(
      client,
      [found(lookupId, { calls: ["token", "lookup", "lookup"].map(call) })],
      "worker",
    );
    expect(await dayCalls()).toBe(3);
  });

  test("that was paid for and not made is given back with the record", async () => {
    const { client, lookupId, pay, dayCalls } = await underWay();
    await pay();
    await recordLookups(client, [found(lookupId, { calls: [call("lookup")] })], "worker");
    expect(await dayCalls()).toBe(1);
  });

  test("goes back with the permit", async () => {
    const { client, lookupId, pay, dayCalls } = await underWay();
    await pay();
    await releaseLookups(client, [lookupId], "late");
    expect(await dayCalls()).toBe(0);
  });

  test("is refused when the day is spent", async () => {
    const { pay } = await underWay({ calls_per_day: 2 });
    expect(await pay()).toMatchObject({ refusal: null });
    expect(await pay()).toMatchObject({ refusal: "no_budget" });
  });

  test("may use what is kept in hand of the day: what has begun is finished", async () => {
    const { client, api, pay } = await underWay({
      calls_per_day: 100,
      day_time_zone: zoneAt(43_200),
    });
    await client.query("update bookpost_private.budgets set day_calls = 60 where api_code = $1", [
      api.code,
    ]);
    expect(await pay()).toMatchObject({ refusal: null });
  });

  test("about the parcel is refused when the parcel's day is spent, a token is not", async () => {
    const { pay } = await underWay({ calls_per_parcel_per_day: 1 });
    expect(await pay("lookup")).toMatchObject({ refusal: "no_budget" });
    expect(await pay("token")).toMatchObject({ refusal: null });
  });

  test("prolongs the lease by its wait", async () => {
    const { client, pay } = await underWay({ call_windows: { "2 seconds": 1 } });
    const end = async () =>
      (
        await client.query<{ seconds: number }>(
          "select extract(epoch from lease_until - started_at)::float8 as seconds from bookpost_private.leases",
        )
      ).rows[0]?.seconds;
    expect(await end()).toBeCloseTo(100, 1);
    await pay();
    expect(await end()).toBeGreaterThan(102);
  });

  test("prolongs the leases of all that share the request", async () => {
    const client = await rolledBack(db);
    const api = await makeApi(client, { batch_size: 10, call_windows: { "2 seconds": 1 } });
    const ids = await dueParcels(client, api.code, 3);
    const [first = ""] = await permitsFor(client, ids, api.workerId);
    await payCall(client, first, "register");
    const { rows } = await client.query(
      `select count(*)::integer as leases, sum(calls)::integer as calls, min(lease_until - started_at) > '102 seconds' as "isLonger"
       from bookpost_private.leases where api_code = $1`,
      [api.code],
    );
    expect(rows).toEqual([{ leases: 3, calls: 2, isLonger: true }]);
  });

  test("of a lookup that has lost its lease is refused", async () => {
    const { client, pay } = await underWay();
    await client.query("delete from bookpost_private.leases");
    expect(await pay()).toMatchObject({ refusal: "gone" });
  });
});

describe("may a permit still be used?", () => {
  test("yes, while nothing has happened", async () => {
    const { confirm } = await underWay();
    expect(await confirm()).toBeNull();
  });

  test("no, when the circuit has opened meanwhile; nor may more be paid for", async () => {
    const { client, api, confirm, pay } = await underWay({ failure_threshold: 1 });
    const spoiler = await trackBook(client, api.code);
    await lookUp(client, spoiler.parcelId, (id) => failed(id, "unavailable"));
    expect(await confirm()).toBe("circuit_open");
    expect(await pay()).toMatchObject({ refusal: "circuit_open" });
  });

  test("no, when it has opened and closed again: it is of another generation", async () => {
    const { client, api, confirm } = await underWay();
    for (const to of ["open", "reset"])
      await client.query("select bookpost_private.force_circuit($1, $2, 'ann', 'test')", [
        api.code,
        to,
      ]);
    expect(await confirm()).toBe("circuit_open");
  });

  test("no, when the carrier has asked us to wait", async () => {
    const { client, api, confirm, pay } = await underWay();
    const other = await trackBook(client, api.code);
    await lookUp(client, other.parcelId, (id) => failed(id, "rate_limited"));
    expect(await confirm()).toBe("not_before");
    expect(await pay()).toMatchObject({ refusal: "not_before" });
  });

  test("no, when its lease is gone", async () => {
    const { client, confirm, bookId } = await underWay();
    await client.query("select bookpost.stop_tracking($1)", [bookId]);
    expect(await confirm()).toBe("gone");
  });

  test("the probe may, although others may not", async () => {
    const { client, api, confirm } = await underWay({ failure_threshold: 1 });
    const spoiler = await trackBook(client, api.code);
    await lookUp(client, spoiler.parcelId, (id) => failed(id, "unavailable"));
    await ageCircuit(client, api.code, "31 minutes");
    const probe = await permitFor(client, (await trackBook(client, api.code)).parcelId);
    const [answer] = await confirmLookups(client, [probe]);
    expect(answer?.refusal).toBeNull();
    expect(await confirm()).toBe("circuit_half_open");
    expect(await payCall(client, probe, "token")).toMatchObject({ refusal: null });
  });

  test("nobody is asked for nothing: one answer for each id, in their order", async () => {
    const { client, lookupId } = await underWay();
    const stranger = "00000000-0000-4000-8000-000000000000";
    const answers = await confirmLookups(client, [stranger, lookupId]);
    expect(answers).toMatchObject([{ refusal: "gone" }, { lookupId, refusal: null }]);
  });
});
