import type { Queryable } from "../db/withTransaction.ts";

export interface ListedBook {
  readonly id: string;
  readonly title: string;
  readonly author: string | null;
  /** Null, as all that follows, while the book is in no parcel. */
  readonly carrierCode: string | null;
  readonly trackingNumber: string | null;
  readonly status: string | null;
  readonly isLive: boolean;
  readonly estimatedFrom: string | null;
  readonly estimatedUntil: string | null;
  readonly estimatedTimeZone: string | null;
  readonly deliveredAt: Date | null;
  readonly deliveredLocalTime: string | null;
  readonly deliveredTimeZone: string | null;
  readonly lastLookedAt: Date | null;
  readonly nextLookAt: Date | null;
}

/** What a list shows of a book `b` and its parcel `p`. */
export const LISTED_BOOK_COLUMNS = `
  b.id, b.title, b.author, p.carrier_code as "carrierCode", p.tracking_number as "trackingNumber", p.status,
  coalesce(p.closed_at is null, false) as "isLive",
  to_char(p.estimated_from, case when p.is_estimate_a_date then 'YYYY-MM-DD' else 'YYYY-MM-DD"T"HH24:MI:SS' end) as "estimatedFrom",
  to_char(p.estimated_until, case when p.is_estimate_a_date then 'YYYY-MM-DD' else 'YYYY-MM-DD"T"HH24:MI:SS' end) as "estimatedUntil",
  p.estimated_time_zone as "estimatedTimeZone",
  p.delivered_at as "deliveredAt",
  to_char(p.delivered_local_time, 'YYYY-MM-DD"T"HH24:MI:SS') as "deliveredLocalTime",
  p.delivered_time_zone as "deliveredTimeZone",
  bookpost.parcels_last_looked_at(p) as "lastLookedAt",
  bookpost.parcels_next_look_at(p) as "nextLookAt"`;

/** Every owner's books with the parcel each is in now, newest first. */
export async function listBooks(db: Queryable, limit: number): Promise<ListedBook[]> {
  const { rows } = await db.query<ListedBook>(
    `select ${LISTED_BOOK_COLUMNS}
    from (select * from bookpost.books order by created_at desc, id limit $1) b
    left join bookpost.parcels p on p.id = bookpost_private.current_parcel(b.id)
    order by b.created_at desc, b.id`,
    [limit],
  );
  return rows;
}
