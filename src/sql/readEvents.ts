import type { Queryable } from "../db/withTransaction.ts";

export interface StoredEvent {
  readonly parcelId: string;
  readonly occurredAt: Date | null;
  /** Wall clock there, "2025-08-26T08:44:34", or "2025-08-26" where only a date was given. */
  readonly localTime: string | null;
  readonly timeZone: string | null;
  readonly status: string | null;
  readonly rawCode: string;
  readonly description: string | null;
  readonly location: string | null;
  /** It is of an earlier parcel with the same number, and counts for nothing. */
  readonly isOfEarlierLife: boolean;
}

/** The scans of some parcels, each parcel's oldest first. */
export async function readEvents(
  db: Queryable,
  parcelIds: readonly string[],
): Promise<StoredEvent[]> {
  const { rows } = await db.query<StoredEvent>(
    `select e.parcel_id as "parcelId", e.occurred_at as "occurredAt",
      to_char(e.local_time, case when e.is_date_only then 'YYYY-MM-DD' else 'YYYY-MM-DD"T"HH24:MI:SS' end) as "localTime",
      e.time_zone as "timeZone", e.status, e.raw_code as "rawCode", e.description, e.location,
      bookpost.tracking_events_is_of_earlier_life(e) as "isOfEarlierLife"
    from bookpost.tracking_events e
    where e.parcel_id = any ($1::uuid[])
    order by e.parcel_id, e.sort_at, e.sort_rank, e.identity`,
    [parcelIds],
  );
  return rows;
}
