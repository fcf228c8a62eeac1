import type { Queryable } from "../db/withTransaction.ts";

/** A person says where a book is, and why she knows; kept as a scan of its present parcel. Raises BP400 and BP404. */
export async function markBook(
  db: Queryable,
  bookId: string,
  status: string,
  reason: string,
): Promise<void> {
  await db.query("select bookpost.mark_book(book => $1::uuid, status => $2, reason => $3)", [
    bookId,
    status,
    reason,
  ]);
}
