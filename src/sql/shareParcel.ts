import type { Queryable } from "../db/withTransaction.ts";

/** A public link that was made just now. */
export interface NewTrackingLink {
  readonly linkId: string;
  /** Opens the page; shown this once. */
  readonly token: string;
}

/** Makes a public link to the parcel a book is in now, for so many days (null: 30). Raises BP400, BP404 and BP409. */
export async function shareParcel(
  db: Queryable,
  bookId: string,
  days: number | null,
): Promise<NewTrackingLink> {
  const { rows } = await db.query<NewTrackingLink>(
    `select link_id as "linkId", token
           from bookpost.share_parcel($1::uuid, make_interval(days => coalesce($2::integer, 30)))`,
    [bookId, days],
  );
  return rows[0] as NewTrackingLink;
}
