import type { Queryable } from "../db/withTransaction.ts";

export interface FoundBook {
  readonly id: string;
  readonly title: string;
  readonly carrierCode: string | null;
  readonly trackingNumber: string | null;
  readonly foundBy: "id" | "number";
  /** The parcel is live and the book is still tracked in it. */
  readonly isLive: boolean;
}

export interface BookSearch {
  /** Both ends of a range of ids; null: not by id. */
  readonly ids: readonly [from: string, until: string] | null;
  /** Normalised. */
  readonly trackingNumber: string;
}

/** Books whose id lies in a range or that travel, or travelled, under a number. At most 20 of each. */
export async function findBooks(db: Queryable, search: BookSearch): Promise<FoundBook[]> {
  const { rows } = await db.query<FoundBook>(
    `(
      select b.id, b.title, p.carrier_code as "carrierCode", p.tracking_number as "trackingNumber",
        'id' as "foundBy", coalesce(p.closed_at is null, false) as "isLive"
      from bookpost.books b
      left join bookpost.parcels p on p.id = bookpost_private.current_parcel(b.id)
      where b.id between $1::uuid and $2::uuid
      order by b.id
      limit 20
    )
    union all
    (
      select b.id, b.title, p.carrier_code, p.tracking_number, 'number', p.closed_at is null and pb.stopped_at is null
      from bookpost.parcels p
      join bookpost.parcel_books pb on pb.parcel_id = p.id
      join bookpost.books b on b.id = pb.book_id
      where p.tracking_number = $3
      order by p.created_at desc, b.id
      limit 20
    )`,
    [search.ids?.[0], search.ids?.[1], search.trackingNumber],
  );
  return rows;
}
