import type { Queryable } from "../db/withTransaction.ts";

/** The book travels under another number, with another carrier unless null: `bookpost.correct_tracking_number`. Raises BP404 and BP400. */
export async function correctTrackingNumber(
  db: Queryable,
  bookId: string,
  trackingNumber: string,
  carrier: string | null,
): Promise<void> {
  await db.query("select bookpost.correct_tracking_number($1::uuid, $2, $3)", [
    bookId,
    trackingNumber,
    carrier,
  ]);
}
