import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Queryable } from "../../src/db/withTransaction.ts";
import type { LookupReport } from "../../src/sql/recordLookups.ts";
import { recordSafely } from "../../src/tracking/recordSafely.ts";
import { ago } from "../helpers/ago.ts";
import { testThatAllIsQuiet } from "../helpers/allIsQuiet.ts";
import { circuitOf } from "../helpers/circuitOf.ts";
import { permitFor } from "../helpers/lookUp.ts";
import { makeApi } from "../helpers/makeApi.ts";
import { one } from "../helpers/one.ts";
import { openClient } from "../helpers/openClient.ts";
import { parcelOf } from "../helpers/parcelOf.ts";
import { dueParcels, permitsFor } from "../helpers/permits.ts";
import { failed, found, scan } from "../helpers/reports.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { untilItWaits } from "../helpers/untilItWaits.ts";

const db = testDatabase();

const good = (id: string) => found(id, { events: [scan(ago(2), "in_transit")] });
const bad = (id: string) =>
  found(id, { events: [scan(ago(2), "in_transit")], raw_text: "a\u0000" });

/**
 * Always one connection: a backend takes the next statement only when it has
 * rolled back the one that failed, so its own locks are never in its way.
 */
let connection: pg.Client;
beforeAll(async () => {
  connection = new pg.Client(db.url);
  await connection.connect();
});
afterAll(() => connection.end());

/** The real database behind a wall that fails as `ends` says, one word a call: a code, or `after <code>`: it works, and the answer is lost. */
function flaky(ends: string[]): { db: Queryable; calls: () => number } {
  let calls = 0;
  const query = async (sql: string, values: unknown[]) => {
    calls++;
    const end = ends.shift();
    if (end?.startsWith("after")) await connection.query(sql, values);
    if (end) throw Object.assign(new Error(end), { code: end.replace("after ", "") });
    return connection.query(sql, values);
  };
  return { db: { query } as unknown as Queryable, calls: () => calls };
}

async function permits(count: number): Promise<{ code: string; lookupIds: string[] }> {
  const { code } = await makeApi(db.pool);
  return { code, lookupIds: await permitsFor(db.pool, await dueParcels(db.pool, code, count)) };
}

describe("data that the database cannot take", () => {
  test("one bad report of 64: it is recorded as malformed without scans, the other 63 as they are", async () => {
    const { code, lookupIds } = await permits(64);
    const reports = lookupIds.map((id, i) => (i === 41 ? bad(id) : good(id)));
    const recorded = await recordSafely(connection, reports, "worker");
    expect(recorded).toHaveLength(64);
    expect(recorded.filter(({ outcome }) => outcome === "updated")).toHaveLength(63);
    expect(recorded.find(({ lookupId }) => lookupId === lookupIds[41])).toMatchObject({
      outcome: "malformed",
      status: "pending",
    });
    expect(
      await one(
        db.pool,
        "select error_code, error_message from bookpost_private.lookups where id = $1",
        [lookupIds[41]],
      ),
    ).toEqual({
      error_code: "UNRECORDABLE",
      error_message: expect.stringContaining("22P05"),
    });
    expect((await circuitOf(db.pool, code)).state).toBe("closed");
  });

  test("one bad report of 64 costs no more than two calls for each halving", async () => {
    const { lookupIds } = await permits(64);
    const { db: counted, calls } = flaky([]);
    await recordSafely(
      counted,
      lookupIds.map((id, i) => (i === 0 ? bad(id) : good(id))),
      "worker",
    );
    // 1 whole, 6 halvings of two, 1 bare.
    expect(calls()).toBe(14);
  });

  test("all of them bad: each is recorded as malformed", async () => {
    const { lookupIds } = await permits(5);
    const recorded = await recordSafely(connection, lookupIds.map(bad), "worker");
    expect(recorded.map(({ outcome }) => outcome)).toEqual(Array(5).fill("malformed"));
  });

  test("a failure whose text cannot be stored is recorded too", async () => {
    const { lookupIds } = await permits(1);
    const report = failed(lookupIds[0] ?? "", "rate_limited", { error_message: "\u0000" });
    expect(await recordSafely(connection, [report], "worker")).toMatchObject([
      { outcome: "malformed" },
    ]);
  });

  test("a report that cannot be recorded even bare is an error, not an endless loop", async () => {
    const { lookupIds } = await permits(1);
    const calls = [{ kind: "\u0000", http_status: 200, age_ms: 1, duration_ms: 1 }];
    await expect(
      recordSafely(connection, [failed(lookupIds[0] ?? "", "not_found", { calls })], "worker"),
    ).rejects.toThrow("cannot be recorded");
  });

  test("the same lookup twice in one batch is recorded once", async () => {
    const { lookupIds } = await permits(1);
    const [id = ""] = lookupIds;
    await recordSafely(connection, [good(id), good(id)], "worker");
    expect(
      await one(
        db.pool,
        "select count(*)::integer as n, min(outcome) as outcome from bookpost_private.lookups where id = $1",
        [id],
      ),
    ).toEqual({ n: 1, outcome: "updated" });
  });
});

describe("trouble that passes", () => {
  test.each(["40P01", "40001", "57P01", "08006", "53300", "ECONNRESET", "EPIPE"])(
    "after %s it is tried again",
    async (code) => {
      const { lookupIds } = await permits(1);
      const { db: wall, calls } = flaky([code]);
      expect(await recordSafely(wall, lookupIds.map(good), "worker")).toHaveLength(1);
      expect(calls()).toBe(2);
    },
  );

  test("a bug of ours is thrown at once", async () => {
    const { db: wall, calls } = flaky(["42P01"]);
    await expect(recordSafely(wall, [], "worker")).rejects.toThrow("42P01");
    expect(calls()).toBe(1);
  });

  test("where the commit arrived and its reply was lost, nothing is written twice", async () => {
    const { code, lookupIds } = await permits(3);
    const { db: wall } = flaky(["after ECONNRESET"]);
    // To its callers the answers are stale; what they told is written.
    expect(await recordSafely(wall, lookupIds.map(good), "worker")).toEqual([]);
    expect(
      await one(
        db.pool,
        `select count(*)::integer as lookups, (select count(*)::integer from bookpost.notifications n
           join bookpost.parcels p on p.id = n.parcel_id where p.carrier_code = $1) as told
         from bookpost_private.lookups where api_code = $1`,
        [code],
      ),
    ).toEqual({ lookups: 3, told: 3 });
  });
});

describe("a row that stays locked", () => {
  test("by a deletion: the report it concerns is busy, its neighbours are recorded", async () => {
    const { code } = await makeApi(db.pool);
    const held = await trackBook(db.pool, code);
    const neighbours = await permitsFor(db.pool, await dueParcels(db.pool, code, 3));
    const lookupId = await permitFor(db.pool, held.parcelId);
    const app = await openClient(db.url);
    await app.query("begin");
    await app.query("delete from bookpost.books where id = $1", [held.bookId]);
    const recorded = await recordSafely(connection, [lookupId, ...neighbours].map(good), "worker");
    expect(recorded.map(({ outcome }) => outcome)).toEqual([
      "busy",
      "updated",
      "updated",
      "updated",
    ]);
    await app.query("rollback");
    expect(await recordSafely(connection, [good(lookupId)], "worker")).toMatchObject([
      { outcome: "updated" },
    ]);
  });

  // The foreign key of the notification fails once the deletion is committed, and class 23 is taken for bad data.
  test("a book deleted while its parcel's answer is recorded does not spoil the answer", async () => {
    const { code } = await makeApi(db.pool);
    const { bookId, parcelId } = await trackBook(db.pool, code);
    const lookupId = await permitFor(db.pool, parcelId);
    const app = await openClient(db.url);
    const recorder = await openClient(db.url);
    await app.query("begin");
    await app.query("delete from bookpost.books where id = $1", [bookId]);
    const recorded = recordSafely(recorder, [good(lookupId)], "worker");
    await untilItWaits(db.pool, recorder, recorded);
    await app.query("commit");
    expect(await recorded).toMatchObject([{ outcome: "updated" }]);
    expect((await parcelOf(db.pool, parcelId)).status).toBe("in_transit");
  });
});

test("an empty batch is nothing", async () => {
  const none: LookupReport[] = [];
  expect(await recordSafely(connection, none, "worker")).toEqual([]);
});

testThatAllIsQuiet(db);
