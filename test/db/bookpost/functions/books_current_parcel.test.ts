import { expect, test } from "vitest";
import { apiClient } from "../../../helpers/apiClient.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const CURRENT = `select b.id as "bookId", p.id as "parcelId", bookpost_private.current_parcel(b.id) as rule
  from bookpost.books b left join lateral bookpost.books_current_parcel(b) p on true
  where b.owner_id = $1 order by b.app_book_id`;

/** Someone with four books: in a live parcel, moved to another, stopped, and in no parcel. */
async function owner(): Promise<{ id: string; expected: (string | null)[] }> {
  const { code } = await makeApi(db.pool);
  const id = await makeUser(db.pool);
  const live = await trackBook(db.pool, code, { owner: id, appBookId: "1" });
  await trackBook(db.pool, code, { owner: id, appBookId: "2" });
  const moved = await trackBook(db.pool, code, { owner: id, appBookId: "2" });
  const stopped = await trackBook(db.pool, code, { owner: id, appBookId: "3" });
  await db.pool.query("select bookpost.stop_tracking($1)", [stopped.bookId]);
  await db.pool.query(
    "insert into bookpost.books (owner_id, title, app_book_id) values ($1, 'In no parcel', '4')",
    [id],
  );
  return { id, expected: [live.parcelId, moved.parcelId, stopped.parcelId, null] };
}

test("is the live parcel, else the latest, else none: the same that refresh_book asks about", async () => {
  const { id, expected } = await owner();
  const { rows } = await db.pool.query<{ parcelId: string | null; rule: string | null }>(CURRENT, [
    id,
  ]);
  expect(rows.map(({ parcelId }) => parcelId)).toEqual(expected);
  expect(rows.map(({ rule }) => rule)).toEqual(expected);
});

test("shows a member no parcel of another's book", async () => {
  const [ann, ben] = [await owner(), await owner()];
  const client = await apiClient(db, { role: "bookpost_member", userId: ann.id });
  const { rows } = await client.query(
    "select p.id from bookpost.books_current_parcel(jsonb_populate_record(null::bookpost.books, jsonb_build_object('id', (select $1::uuid)))) p",
    [
      (await db.pool.query("select id from bookpost.books where owner_id = $1", [ben.id])).rows[0]
        ?.id,
    ],
  );
  expect(rows).toEqual([]);
});

test("is part of the query that asks for it, and no call for each row", async () => {
  const { rows } = await db.pool.query<{ "QUERY PLAN": string }>(
    "explain select p.status from bookpost.books b, lateral bookpost.books_current_parcel(b) p",
  );
  const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
  expect(plan).toMatch(/on parcel_books/);
  expect(plan).not.toMatch(/Function Scan/);
});
