import type pg from "pg";
import { expect, test } from "vitest";
import { dispatch } from "../../../src/sql/dispatch.ts";
import { sweep } from "../../../src/sql/sweep.ts";
import { ageBeat, ageLease } from "../../helpers/ageing.ts";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { jobsOf } from "../../helpers/jobsOf.ts";
import { permitFor } from "../../helpers/lookUp.ts";
import { beatFor, makeApi } from "../../helpers/makeApi.ts";
import { openClient } from "../../helpers/openClient.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { askBesideApp, recordBesideApp } from "./openTransactions.ts";

const db = testDatabase();

// bookpost lives in the app's database: an app's transaction may stay open for as long as it likes,
// and must hold up nobody who does not touch the same parcel.

/** An app in the middle of a transaction in which it did `sql`; and us, who wait for nobody longer than a moment. */
async function openApp(
  sql: string,
  values: readonly unknown[],
): Promise<{ app: pg.Client; us: pg.Client }> {
  const app = await openClient(db.url);
  const us = await openClient(db.url);
  await app.query("begin");
  await app.query(sql, [...values]);
  await us.query("set lock_timeout = '300ms'");
  return { app, us };
}

const TRACK = "select bookpost.track_book('A book', $1, $2)";

test.each([
  ["tracked a book", (bookId: string) => ["select bookpost.refresh_book($1)", [bookId]]],
  ["stopped a book", (bookId: string) => ["select bookpost.stop_tracking($1)", [bookId]]],
  ["deleted a book", (bookId: string) => ["delete from bookpost.books where id = $1", [bookId]]],
] as [string, (bookId: string) => [string, unknown[]]][])(
  "while an app that %s has not committed, others track, dispatch runs, sweep frees and workers beat",
  async (_, statement) => {
    const api = await makeApi(db.pool);
    const touched = await trackBook(db.pool, api.code);
    const [sql, values] = statement(touched.bookId);
    const { app, us } = await openApp(sql, values);
    await app.query(TRACK, [api.code, "OPEN0001"]);

    const other = await trackBook(us, api.code);
    await us.query("select bookpost.refresh_book($1)", [other.bookId]);
    await permitFor(us, other.parcelId, api.workerId);
    await beatFor(us, api);
    await ageLease(us, other.parcelId, "101 seconds");
    expect(await sweep(us)).toBe(1);
    await dispatch(us);
    expect(await jobsOf(us, other.parcelId)).toHaveLength(1);
    await us.query(
      "select graphile_worker.add_job('dispatch', job_key => 'dispatch', job_key_mode => 'preserve_run_at')",
    );
    await app.query("rollback");
  },
);

test("two apps that each track two books in one transaction, in opposite order, do not deadlock", async () => {
  const { code } = await makeApi(db.pool);
  const a = await openClient(db.url);
  const b = await openClient(db.url);
  await a.query("begin");
  await b.query("begin");
  await a.query(TRACK, [code, "CROSS001"]);
  await b.query(TRACK, [code, "CROSS002"]);
  await a.query(TRACK, [code, "CROSS003"]);
  await b.query(TRACK, [code, "CROSS004"]);
  await a.query("commit");
  await b.query("commit");
});

test("a parcel that an app's open transaction holds is busy, and its neighbours in the batch get their permits", () =>
  askBesideApp(db));

test("an app's open transaction on one parcel does not hold up the recording of its neighbours", () =>
  recordBesideApp(db));

test("a dead worker's lookup that could not be freed because its parcel was held is freed by the next sweep", async () => {
  const api = await makeApi(db.pool);
  const { parcelId, bookId } = await trackBook(db.pool, api.code);
  await permitFor(db.pool, parcelId, api.workerId);
  await ageBeat(db.pool, api.workerId, "9 seconds");
  await db.pool.query(
    "update bookpost_private.leases set started_at = started_at - interval '9 seconds' where parcel_id = $1",
    [parcelId],
  );
  const { app, us } = await openApp("select bookpost.refresh_book($1)", [bookId]);
  expect(await sweep(us)).toBe(0);
  await app.query("rollback");
  expect(await sweep(us)).toBe(1);
});

testThatAllIsQuiet(db);
