import type { Queryable } from "../db/withTransaction.ts";

/** The code of the carrier that has the book now, by the order of `bookpost_private.current_parcel`; null where it is in no parcel that the reader sees. */
export async function readCarrierOfBook(db: Queryable, bookId: string): Promise<string | null> {
  const { rows } = await db.query<{ carrierCode: string }>(
    `select p.carrier_code as "carrierCode"
    from bookpost.parcel_books pb join bookpost.parcels p on p.id = pb.parcel_id
    where pb.book_id = $1::uuid
    order by (pb.stopped_at is null and p.closed_at is null) desc, pb.started_at desc, pb.parcel_id
    limit 1`,
    [bookId],
  );
  return rows[0]?.carrierCode ?? null;
}
