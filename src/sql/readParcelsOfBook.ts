import type { Queryable } from "../db/withTransaction.ts";

export interface ParcelDetails {
  readonly id: string;
  readonly carrierCode: string;
  readonly carrierName: string;
  readonly trackingNumber: string;
  readonly status: string;
  /** What the status means, for people. */
  readonly statusText: string;
  readonly statusChangedAt: Date;
  readonly rawStatus: string | null;
  readonly rawText: string | null;
  readonly isActionRequired: boolean;
  readonly isReturn: boolean;
  /** Wall clock there, "2025-08-27T14:00:00", or "2025-08-27" where the carrier gave days. */
  readonly estimatedFrom: string | null;
  readonly estimatedUntil: string | null;
  readonly estimatedTimeZone: string | null;
  readonly deliveredAt: Date | null;
  readonly deliveredLocalTime: string | null;
  readonly deliveredTimeZone: string | null;
  readonly signedBy: string | null;
  readonly closedAt: Date | null;
  readonly closedReason: string | null;
  /** This book is no longer tracked in it since then. */
  readonly stoppedAt: Date | null;
  readonly lastLookedAt: Date | null;
  readonly lastAnsweredAt: Date | null;
  readonly lastOutcome: string | null;
  readonly lastError: string | null;
  readonly nextLookAt: Date | null;
  readonly trackingPage: string | null;
}

/** The parcels a book is or was in, the present one first. */
export async function readParcelsOfBook(db: Queryable, bookId: string): Promise<ParcelDetails[]> {
  const { rows } = await db.query<ParcelDetails>(
    `select p.id, p.carrier_code as "carrierCode", c.name as "carrierName", p.tracking_number as "trackingNumber",
      p.status, s.description as "statusText", p.status_changed_at as "statusChangedAt",
      p.raw_status as "rawStatus", p.raw_text as "rawText",
      p.is_action_required as "isActionRequired", p.is_return as "isReturn",
      to_char(p.estimated_from, case when p.is_estimate_a_date then 'YYYY-MM-DD' else 'YYYY-MM-DD"T"HH24:MI:SS' end) as "estimatedFrom",
      to_char(p.estimated_until, case when p.is_estimate_a_date then 'YYYY-MM-DD' else 'YYYY-MM-DD"T"HH24:MI:SS' end) as "estimatedUntil",
      p.estimated_time_zone as "estimatedTimeZone",
      p.delivered_at as "deliveredAt",
      to_char(p.delivered_local_time, case when d.is_date_only then 'YYYY-MM-DD' else 'YYYY-MM-DD"T"HH24:MI:SS' end) as "deliveredLocalTime",
      p.delivered_time_zone as "deliveredTimeZone",
      p.signed_by as "signedBy", p.closed_at as "closedAt", p.closed_reason as "closedReason", pb.stopped_at as "stoppedAt",
      k.last_looked_at as "lastLookedAt", k.last_answered_at as "lastAnsweredAt", k.last_outcome as "lastOutcome",
      k.last_error as "lastError", k.next_check_at as "nextLookAt",
      bookpost.parcels_tracking_page(p) as "trackingPage"
    from bookpost.parcel_books pb
    join bookpost.parcels p on p.id = pb.parcel_id
    join bookpost.carriers c on c.code = p.carrier_code
    join bookpost.parcel_statuses s on s.status = p.status
    left join bookpost_private.checks k on k.parcel_id = p.id
    -- A delivery told with a date only is kept at midnight; its scan knows.
    left join lateral (
      select e.is_date_only
      from bookpost.tracking_events e
      where e.parcel_id = p.id and e.status = 'delivered' and e.local_time = p.delivered_local_time
      order by e.sort_at desc, e.sort_rank desc
      limit 1
    ) d on true
    where pb.book_id = $1::uuid
    order by p.id = bookpost_private.current_parcel(pb.book_id) desc, pb.started_at desc, p.id`,
    [bookId],
  );
  return rows;
}
