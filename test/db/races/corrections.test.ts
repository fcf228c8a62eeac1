import { expect, onTestFinished, test } from "vitest";
import { makeApi } from "../../helpers/makeApi.ts";
import { openClient } from "../../helpers/openClient.ts";
import { sabotage } from "../../helpers/sabotage.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../../helpers/trackBook.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

const db = testDatabase();

const CORRECT = "select bookpost.correct_tracking_number($1, $2)";

/** Two correct one book's number; the second comes while the first has not committed. The numbers it travels under then. */
async function correctTwice(): Promise<{ second: string; live: string[] }> {
  const { code } = await makeApi(db.pool);
  const { bookId } = await trackBook(db.pool, code);
  const [a, b] = [await openClient(db.url), await openClient(db.url)];
  const [first, second] = [newNumber(), newNumber()];
  await a.query("begin");
  await a.query(CORRECT, [bookId, first]);
  const later = b.query(CORRECT, [bookId, second]);
  await untilItWaits(db.pool, b, later);
  await a.query("commit");
  await later;
  const { rows } = await db.pool.query<{ number: string }>(
    `select p.tracking_number as number from bookpost.parcel_books pb
     join bookpost.parcels p on p.id = pb.parcel_id where pb.book_id = $1 and pb.stopped_at is null`,
    [bookId],
  );
  return { second, live: rows.map(({ number }) => number) };
}

test("of two corrections at once the later one waits, and counts", async () => {
  const { second, live } = await correctTwice();
  expect(live).toEqual([second]);
});

test("red where the book is not locked: then it would travel in two parcels", async () => {
  onTestFinished(
    await sabotage(db.pool, [
      {
        function: "bookpost_private.put_in_parcel",
        from: "where b.id = book.id for no key update",
        to: "where b.id = book.id",
      },
    ]),
  );
  expect((await correctTwice()).live).toHaveLength(2);
});

test("two who mark the same notifications at once, in whatever order, do not lock each other out", async () => {
  const { bookId, parcelId, ownerId } = await trackBook(db.pool, "other");
  const { rows } = await db.pool.query<{ id: string }>(
    `insert into bookpost.notifications (user_id, book_id, parcel_id, status, status_version)
     select $1, $2, $3, 'in_transit', n from generate_series(1, 200) n returning id`,
    [ownerId, bookId, parcelId],
  );
  const ids = rows.map(({ id }) => id);
  const clients = [await openClient(db.url), await openClient(db.url)];
  const counts = await Promise.all(
    clients.map(async (client, i) => {
      const { rows } = await client.query<{ count: number }>(
        "select bookpost.mark_notifications_read(ids => $1, person => $2) as count",
        [i === 0 ? ids : ids.toReversed(), ownerId],
      );
      return rows[0]?.count ?? Number.NaN;
    }),
  );
  expect(counts.reduce((a, b) => a + b)).toBe(200);
});
