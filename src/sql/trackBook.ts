import type { Queryable } from "../db/withTransaction.ts";

export interface NewBook {
  readonly title: string;
  readonly carrier: string;
  readonly trackingNumber: string;
  readonly author?: string | undefined;
  readonly owner?: string | undefined;
  /** Decimal text, so that no cent is lost on the way. */
  readonly declaredValue?: string | undefined;
  readonly declaredCurrency?: string | undefined;
  readonly appBookId?: string | undefined;
  readonly trackingUrl?: string | undefined;
  /** The day it was posted, "2025-08-26". */
  readonly sentOn?: string | undefined;
}

export interface TrackedBook {
  readonly id: string;
  readonly ownerId: string;
  readonly title: string;
  readonly author: string | null;
}

/** Starts tracking a book; asked again, gives the same one. Raises BP400 and BP404. */
export async function trackBook(db: Queryable, book: NewBook): Promise<TrackedBook> {
  const { rows } = await db.query<TrackedBook>(
    `select b.id, b.owner_id as "ownerId", b.title, b.author
    from bookpost.track_book(
      title => $1, carrier => $2, tracking_number => $3, author => $4, owner => $5::uuid,
      declared_value => $6::numeric, declared_currency => $7, app_book_id => $8, tracking_url => $9,
      sent_on => $10::date
    ) b`,
    [
      book.title,
      book.carrier,
      book.trackingNumber,
      book.author,
      book.owner,
      book.declaredValue,
      book.declaredCurrency,
      book.appBookId,
      book.trackingUrl,
      book.sentOn,
    ],
  );
  return rows[0] as TrackedBook;
}
