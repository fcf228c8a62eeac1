import { randomBytes } from "node:crypto";
import type { Queryable } from "../../src/db/withTransaction.ts";

export interface TrackedBook {
  readonly bookId: string;
  readonly parcelId: string;
  readonly ownerId: string;
  readonly number: string;
}

/** A tracking number nobody else uses. */
export function newNumber(): string {
  return `N${randomBytes(8).toString("hex").toUpperCase()}`;
}

/** Tracks a book through `bookpost.track_book`, as an app does; what is left out is made up. */
export async function trackBook(
  db: Queryable,
  carrier: string,
  options: {
    readonly number?: string;
    readonly owner?: string;
    readonly title?: string;
    readonly appBookId?: string;
    /** The day it was posted, for scans that are more than two weeks old. */
    readonly sentOn?: string;
  } = {},
): Promise<TrackedBook> {
  const number = options.number ?? newNumber();
  const { rows: books } = await db.query<{ id: string; owner_id: string }>(
    `select id, owner_id from bookpost.track_book(
       title => $1, carrier => $2, tracking_number => $3, owner => $4, app_book_id => $5, sent_on => $6)`,
    [
      options.title ?? "A book",
      carrier,
      number,
      options.owner ?? null,
      options.appBookId ?? null,
      options.sentOn ?? null,
    ],
  );
  const { rows: parcels } = await db.query<{ id: string }>(
    `select id from bookpost.parcels
     where carrier_code = $1 and tracking_number = bookpost.normalize_tracking_number($2) and closed_at is null`,
    [carrier, number],
  );
  const [book] = books;
  const [parcel] = parcels;
  if (!book || !parcel) throw new Error("the book was not tracked");
  return { bookId: book.id, parcelId: parcel.id, ownerId: book.owner_id, number };
}
