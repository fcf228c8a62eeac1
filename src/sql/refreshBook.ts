import type { Queryable } from "../db/withTransaction.ts";

/** Asks for a look at the book's parcel now, within the carrier's limits. Raises BP400, BP404 and BP409. */
export async function refreshBook(db: Queryable, bookId: string): Promise<void> {
  await db.query("select bookpost.refresh_book($1::uuid)", [bookId]);
}
