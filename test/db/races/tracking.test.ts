import { expect, test } from "vitest";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { sweep } from "../../../src/sql/sweep.ts";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { permitFor } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { one } from "../../helpers/one.ts";
import { openClient, openClients } from "../../helpers/openClient.ts";
import { checkOf, parcelOf } from "../../helpers/parcelOf.ts";
import { found } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../../helpers/trackBook.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

const db = testDatabase();

const COUNTS = `select
  (select count(*)::integer from bookpost.parcels p where p.tracking_number = $1) as parcels,
  (select count(*)::integer from bookpost_private.checks c join bookpost.parcels p on p.id = c.parcel_id where p.tracking_number = $1) as checks,
  (select count(*)::integer from bookpost.parcel_books b join bookpost.parcels p on p.id = b.parcel_id where p.tracking_number = $1) as books`;

test("20 owners who track one number at once share one parcel with one check", async () => {
  const { code } = await makeApi(db.pool);
  const owners = await Promise.all(Array.from({ length: 20 }, () => makeUser(db.pool)));
  const number = newNumber();
  const clients = await openClients(db.url, 20);
  await Promise.all(
    clients.map((client, i) => trackBook(client, code, { number, owner: owners[i] ?? "" })),
  );
  expect(await one(db.pool, COUNTS, [number])).toEqual({ parcels: 1, checks: 1, books: 20 });
});

test.each([
  ["without an app's id", undefined],
  ["with an app's id", "b1"],
])("one owner who tracks one book 20 times at once, %s, has one book", async (_, appBookId) => {
  const { code } = await makeApi(db.pool);
  const owner = await makeUser(db.pool);
  const number = newNumber();
  const clients = await openClients(db.url, 20);
  const options = appBookId ? { appBookId } : {};
  const tracked = await Promise.all(
    clients.map((client) => trackBook(client, code, { number, owner, ...options })),
  );
  expect(new Set(tracked.map(({ bookId }) => bookId)).size).toBe(1);
  expect(await one(db.pool, COUNTS, [number])).toEqual({ parcels: 1, checks: 1, books: 1 });
});

test("whoever tracks a number while its last owner stops gets a parcel that lives", async () => {
  const { code } = await makeApi(db.pool);
  const stopper = await openClient(db.url);
  const tracker = await openClient(db.url);
  for (let round = 0; round < 30; round++) {
    const first = await trackBook(db.pool, code, { owner: await makeUser(db.pool) });
    const owner = await makeUser(db.pool);
    const [, tracked] = await Promise.all([
      stopper.query("select bookpost.stop_tracking($1)", [first.bookId]),
      trackBook(tracker, code, { number: first.number, owner }),
    ]);
    await sweep(db.pool);
    expect((await parcelOf(db.pool, tracked.parcelId)).closed_at).toBeNull();
  }
});

test("two transactions that each delete one of the last two books leave no parcel polled for nobody", async () => {
  const { code } = await makeApi(db.pool);
  const hers = await trackBook(db.pool, code, { owner: await makeUser(db.pool) });
  const his = await trackBook(db.pool, code, {
    owner: await makeUser(db.pool),
    number: hers.number,
  });
  const a = await openClient(db.url);
  const b = await openClient(db.url);
  await a.query("begin");
  await b.query("begin");
  await a.query("delete from bookpost.books where id = $1", [hers.bookId]);
  await b.query("delete from bookpost.books where id = $1", [his.bookId]);
  await sweep(db.pool);
  await a.query("commit");
  await sweep(db.pool);
  expect((await parcelOf(db.pool, hers.parcelId)).closed_at).toBeNull();
  await b.query("commit");
  await sweep(db.pool);
  expect((await parcelOf(db.pool, hers.parcelId)).closed_reason).toBe("stopped");
});

test("a refresh that opens a parcel again while its book is deleted leaves none polled for nobody", async () => {
  const { code } = await makeApi(db.pool);
  const { bookId, parcelId } = await trackBook(db.pool, code);
  await db.pool.query(
    "update bookpost.parcels set closed_at = now(), closed_reason = 'cancelled', status = 'cancelled' where id = $1",
    [parcelId],
  );
  await db.pool.query(
    "update bookpost_private.checks set next_check_at = null, pause_reason = 'closed' where parcel_id = $1",
    [parcelId],
  );
  const a = await openClient(db.url);
  await a.query("begin");
  await a.query("delete from bookpost.books where id = $1", [bookId]);
  await db.pool.query("select bookpost.refresh_book($1)", [bookId]);
  await a.query("commit");
  await sweep(db.pool);
  expect((await parcelOf(db.pool, parcelId)).closed_reason).toBe("stopped");
});

test("a refresh waits for a lookup that is being recorded, and then counts from it", async () => {
  const { code } = await makeApi(db.pool, { min_check_interval: "2 hours" });
  const { bookId, parcelId } = await trackBook(db.pool, code);
  const lookupId = await permitFor(db.pool, parcelId);
  const recorder = await openClient(db.url);
  const person = await openClient(db.url);
  await recorder.query("begin");
  await recordLookups(recorder, [found(lookupId)], "worker");
  const refreshed = person.query("select bookpost.refresh_book($1)", [bookId]);
  await untilItWaits(db.pool, person, refreshed);
  await recorder.query("commit");
  await refreshed;
  expect((await checkOf(db.pool, parcelId)).wait).toBe(7200);
});

testThatAllIsQuiet(db);
