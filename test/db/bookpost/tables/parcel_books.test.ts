import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

test("a book cannot be tracked for anyone but its owner", async () => {
  const client = await rolledBack(db);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const { bookId } = await trackBook(client, "ups", { owner: ann });
  const other = await trackBook(client, "ups", { owner: ben });
  expect(
    await tryOut(
      client,
      "insert into bookpost.parcel_books (book_id, parcel_id, owner_id) values ($1, $2, $3)",
      [bookId, other.parcelId, ben],
    ),
  ).toMatchObject({ code: "23503", constraint: "parcel_books_book_belongs_to_owner" });
});

test("tracking cannot stop before it started", async () => {
  const client = await rolledBack(db);
  await trackBook(client, "ups");
  expect(
    await tryOut(
      client,
      "update bookpost.parcel_books set stopped_at = started_at - interval '1 second'",
    ),
  ).toMatchObject({ constraint: "parcel_books_stops_after_it_starts" });
});
