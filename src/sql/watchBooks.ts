import type { Queryable } from "../db/withTransaction.ts";

export interface WatchedBook {
  readonly title: string;
  readonly carrierCode: string;
  readonly trackingNumber: string;
  readonly status: string;
  readonly description: string | null;
  readonly location: string | null;
  readonly isClosed: boolean;
  /** As in `bookpost_ops.why`; null for a closed parcel. */
  readonly reason: string | null;
}

/** All books with their parcel's newest scan and why it waits, in the order in which they were added. */
export async function watchBooks(db: Queryable): Promise<WatchedBook[]> {
  const { rows } = await db.query<WatchedBook>(
    `select b.title, p.carrier_code as "carrierCode", p.tracking_number as "trackingNumber", p.status,
       e.description, e.location, p.closed_at is not null as "isClosed", w.reason
     from bookpost.books b
     join bookpost.parcel_books pb on pb.book_id = b.id
     join bookpost.parcels p on p.id = pb.parcel_id
     left join bookpost_ops.why w on w.parcel_id = p.id
     left join lateral (
       select x.description, x.location from bookpost.tracking_events x
       where x.parcel_id = p.id order by x.sort_at desc, x.sort_rank desc, x.identity desc limit 1
     ) e on true
     order by b.created_at, b.id`,
  );
  return rows;
}
