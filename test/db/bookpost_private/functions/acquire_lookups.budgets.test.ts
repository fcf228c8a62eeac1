import { describe, expect, test } from "vitest";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { jobsOf } from "../../../helpers/jobsOf.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, makeApi, zoneAt } from "../../../helpers/makeApi.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** Parcels of an API of this test's own, due; not urgent unless `isUrgent`. */
async function someParcels(count: number, limits: ApiLimits, isUrgent = false) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits);
  const parcelIds: string[] = [];
  for (let i = 0; i < count; i++) parcelIds.push((await trackBook(client, api.code)).parcelId);
  await makeDue(client, ...parcelIds);
  if (!isUrgent)
    await client.query(
      "update bookpost_private.checks set head_start = '0' where parcel_id = any ($1)",
      [parcelIds],
    );
  return {
    client,
    api,
    parcelIds,
    acquire: (ids = parcelIds) => acquireLookups(client, ids, api.workerId),
    granted: async (ids = parcelIds) =>
      (await acquireLookups(client, ids, api.workerId)).filter((v) => v.verdict === "permit")
        .length,
  };
}

const NOON = 12 * 3600;
const MIDNIGHT = 24 * 3600;

describe("several limits at once", () => {
  test("the permits keep them all: two a second, but five in ten seconds", async () => {
    const { acquire } = await someParcels(5, {
      call_windows: { "1 second": 2, "10 seconds": 5 },
    });
    const waits = (await acquire()).map((v) => (v.verdict === "permit" ? v.waitMs : null));
    // (10 s + 583.3 ms) / 5 is the slower pace; what is more than 5 s away is refused.
    expect(waits).toEqual([0, 2117, 4234, null, null]);
  });

  test("a limit added while the API is in use counts from then on", async () => {
    const { client, api, acquire, granted, parcelIds } = await someParcels(4, {});
    expect(await granted(parcelIds.slice(0, 2))).toBe(2);
    await client.query("insert into bookpost.carrier_limits values ($1, '1 hour', 1)", [api.code]);
    const verdicts = await acquire(parcelIds.slice(2));
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(["permit", "no_budget"]);
  });
});

describe("a day's calls are spent evenly", () => {
  test.each([
    // calls a day, second of the day, granted: the part of the day that has passed, and a twentieth in hand
    [100, 1800, false, 7],
    [100, NOON, false, 55],
    [100, 18 * 3600, false, 80],
    [100, MIDNIGHT - 1800, false, 100],
    [100, NOON, true, 75],
    [100, 1800, true, 27],
    [10, 1800, false, 1],
    [10, 1800, true, 2],
    [1, 1800, false, 1],
  ])(
    "of %i, at second %i, urgent %s: %i may have gone",
    async (allowed, second, isUrgent, expected) => {
      const { granted } = await someParcels(
        Math.min(allowed, expected + 3),
        { calls_per_day: allowed, day_time_zone: zoneAt(second) },
        isUrgent,
      );
      expect(await granted()).toBe(expected);
    },
  );

  test("who comes too early is told when the day will have got so far", async () => {
    const { acquire } = await someParcels(60, {
      calls_per_day: 100,
      day_time_zone: zoneAt(NOON),
    });
    const refused = (await acquire()).find((v) => v.verdict !== "permit");
    expect(refused?.verdict).toBe("no_budget");
    // The 56th call: at 51/100 of the day, 864 s after noon.
    const seconds = refused && "retryInMs" in refused ? (refused.retryInMs ?? 0) / 1000 : 0;
    expect(seconds).toBeCloseTo(864, -1);
  });

  test("what is urgent goes although the ordinary have used their share up", async () => {
    const { client, api, granted, acquire } = await someParcels(60, {
      calls_per_day: 100,
      day_time_zone: zoneAt(NOON),
    });
    expect(await granted()).toBe(55);
    const urgent = await trackBook(client, api.code);
    expect(await acquire([urgent.parcelId])).toMatchObject([{ verdict: "permit" }]);
  });

  test("who has waited for half a day is urgent too: what is urgent by itself can't use up all that comes in", async () => {
    const { client, granted, acquire, parcelIds } = await someParcels(56, {
      calls_per_day: 100,
      day_time_zone: zoneAt(NOON),
    });
    expect(await granted(parcelIds.slice(0, 55))).toBe(55);
    const [last = ""] = parcelIds.slice(55);
    expect(await acquire([last])).toMatchObject([{ verdict: "no_budget" }]);
    await client.query(
      "update bookpost_private.checks set next_check_at = now() - interval '12 hours' where parcel_id = $1",
      [last],
    );
    expect(await acquire([last])).toMatchObject([{ verdict: "permit" }]);
  });

  test("another zone is another name for the same day: what was spent stays spent", async () => {
    const { client, api, granted, acquire } = await someParcels(4, {
      calls_per_day: 3,
      day_time_zone: zoneAt(MIDNIGHT - 1800),
    });
    expect(await granted()).toBe(3);
    await client.query("delete from bookpost_private.leases where api_code = $1", [api.code]);
    // There it is another date.
    await client.query("update bookpost.carrier_apis set day_time_zone = $2 where code = $1", [
      api.code,
      zoneAt(MIDNIGHT - 1800).replace(/[-+]/, (sign) => (sign === "-" ? "+" : "-")),
    ]);
    expect((await acquire()).map(({ verdict }) => verdict)).not.toContain("permit");
  });

  test("seconds before the carrier's midnight nobody may, and is told when", async () => {
    const { acquire } = await someParcels(1, {
      calls_per_day: 100,
      day_time_zone: zoneAt(MIDNIGHT - 4),
    });
    const [verdict] = await acquire();
    expect(verdict).toMatchObject({ verdict: "no_budget" });
    if (verdict?.verdict === "permit") throw new Error("granted");
    expect(verdict?.retryInMs).toBeGreaterThan(4_000);
    expect(verdict?.retryInMs).toBeLessThanOrEqual(10_000);
  });

  test("nor seconds after it", async () => {
    const { acquire } = await someParcels(1, { calls_per_day: 100, day_time_zone: zoneAt(1) });
    const [verdict] = await acquire();
    expect(verdict).toMatchObject({ verdict: "no_budget" });
  });

  test("a permit for a moment too near to midnight is not given", async () => {
    // Nine seconds left: the first may go now; the second, 4.4 s later, would be within five of midnight.
    const { acquire } = await someParcels(2, {
      calls_per_day: 100,
      day_time_zone: zoneAt(MIDNIGHT - 9),
      call_windows: { "4 seconds": 1 },
    });
    expect((await acquire()).map(({ verdict }) => verdict).toSorted()).toEqual([
      "no_budget",
      "permit",
    ]);
  });

  test("without a limit of the day, midnight is an hour like any other", async () => {
    const { granted } = await someParcels(2, { day_time_zone: zoneAt(MIDNIGHT - 2) });
    expect(await granted()).toBe(2);
  });
});

describe("a parcel's own calls of a day", () => {
  const limits = { calls_per_parcel_per_day: 2, min_check_interval: "0" };

  test("are as many as the API allows, and its next look is planned for the next day", async () => {
    const zone = zoneAt(NOON);
    const { client, parcelIds } = await someParcels(1, { ...limits, day_time_zone: zone });
    const [parcelId = ""] = parcelIds;
    await lookUp(client, parcelId, (id) => found(id));
    await lookUp(client, parcelId, (id) => failed(id, "not_found"));
    const { rows } = await client.query(
      `select c.next_check_at = d.ends_at + interval '5 seconds' as is_next_day, c.day_calls
       from bookpost_private.checks c, bookpost_private.day_of(now(), $2) d where c.parcel_id = $1`,
      [parcelId, zone],
    );
    expect(rows).toEqual([{ is_next_day: true, day_calls: 2 }]);
    await expect(permitFor(client, parcelId)).rejects.toThrow("no permit: no_budget");
  });

  test("one parcel's spent calls hold no other back, in the same batch either", async () => {
    const { client, parcelIds, acquire } = await someParcels(2, limits);
    const [spent = ""] = parcelIds;
    for (let i = 0; i < 2; i++) await lookUp(client, spent, (id) => found(id));
    await makeDue(client, spent);
    const verdicts = new Map((await acquire()).map((v) => [v.parcelId, v.verdict]));
    expect(verdicts.get(spent)).toBe("no_budget");
    expect([...verdicts.values()].toSorted()).toEqual(["no_budget", "permit"]);
  });

  test("a request that never went out does not count, one that did twice counts twice", async () => {
    const { client, parcelIds } = await someParcels(1, { ...limits, calls_per_parcel_per_day: 9 });
    const [parcelId = ""] = parcelIds;
    const call = (kind: string) => ({ kind, http_status: 401, age_ms: 1, duration_ms: 1 });
    const count = async () =>
      (
        await client.query<{ day_calls: number }>(
          "select day_calls from bookpost_private.checks where parcel_id = $1",
          [parcelId],
        )
      ).rows[0]?.day_calls;
    await lookUp(client, parcelId, (id) => failed(id, "local", { calls: [] }));
    expect(await count()).toBe(0);
    const calls = ["token", "lookup", "token", "lookup"].map(call);
    await lookUp(client, parcelId, (id) => found(id, { calls }));
    expect(await count()).toBe(2);
  });

  test("that are spent do not take another parcel's turn", async () => {
    const { client, parcelIds } = await someParcels(2, {
      ...limits,
      call_windows: { "1 minute": 1 },
    });
    const [spent = "", other = ""] = parcelIds;
    await client.query(
      `update bookpost_private.checks set day = (now() at time zone 'UTC')::date, day_calls = 2,
         next_check_at = now() - interval '3 days' where parcel_id = $1`,
      [spent],
    );
    await dispatch(client);
    expect((await jobsOf(client, ...parcelIds)).map(({ key }) => key)).toEqual([`parcel:${other}`]);
    const { rows } = await client.query(
      "select reason, until > now() as is_ahead from bookpost_ops.why where parcel_id = $1",
      [spent],
    );
    expect(rows).toEqual([{ reason: "no_budget", is_ahead: true }]);
  });

  test("are not taken along to another API", async () => {
    const { client, parcelIds, api } = await someParcels(1, limits);
    const other = await makeApi(client, limits);
    await client.query(
      "update bookpost_private.checks set day = (now() at time zone 'UTC')::date, day_calls = 2 where parcel_id = $1",
      [parcelIds[0]],
    );
    await client.query("update bookpost.carriers set api_code = $2 where code = $1", [
      api.code,
      other.code,
    ]);
    const [verdict] = await acquireLookups(client, parcelIds, other.workerId);
    expect(verdict?.verdict).toBe("permit");
  });

  test("begin anew with the API's day", async () => {
    const { client, parcelIds } = await someParcels(1, limits);
    const [parcelId = ""] = parcelIds;
    for (let i = 0; i < 2; i++) await lookUp(client, parcelId, (id) => found(id));
    await client.query("update bookpost_private.checks set day = day - 1 where parcel_id = $1", [
      parcelId,
    ]);
    await permitFor(client, parcelId);
  });

  test("a person's wish for a look now does not change them", async () => {
    const { client, api } = await someParcels(0, limits);
    const { bookId, parcelId } = await trackBook(client, api.code);
    for (let i = 0; i < 2; i++) await lookUp(client, parcelId, (id) => found(id));
    await client.query("select bookpost.refresh_book($1)", [bookId]);
    const { rows } = await client.query(
      "select from bookpost_private.checks where parcel_id = $1 and next_check_at <= clock_timestamp()",
      [parcelId],
    );
    expect(rows).toHaveLength(0);
  });
});

describe("when calls are scarce", () => {
  /** Four ordinary parcels and what makes the last of them special; who gets the one permit. */
  async function first(special: string) {
    const made = await someParcels(4, { calls_in_flight: 1 });
    const last = made.parcelIds[3] ?? "";
    await made.client.query(
      "update bookpost_private.checks set next_check_at = now() - interval '1 hour' where parcel_id = any ($1)",
      [made.parcelIds],
    );
    await made.client.query(special, [last]);
    const permit = (await made.acquire()).find((v) => v.verdict === "permit");
    return permit?.parcelId === last;
  }

  test("a parcel with a head start goes before those that have waited a little longer", async () => {
    expect(
      await first(
        "update bookpost_private.checks set head_start = '6 hours', next_check_at = now() where parcel_id = $1",
      ),
    ).toBe(true);
  });

  test("but not before those that have waited longer than that: nobody starves", async () => {
    expect(
      await first(
        "update bookpost_private.checks set head_start = '50 minutes', next_check_at = now() where parcel_id = $1",
      ),
    ).toBe(false);
  });
});
