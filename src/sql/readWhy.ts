import type { Queryable } from "../db/withTransaction.ts";

export interface Why {
  readonly parcelId: string;
  readonly carrierCode: string;
  readonly trackingNumber: string;
  readonly status: string;
  readonly titles: string | null;
  readonly reason: string;
  readonly until: Date | null;
  readonly lastOutcome: string | null;
  readonly lastError: string | null;
  readonly lastLookedAt: Date | null;
  /** It will not come right by itself. */
  readonly needsPerson: boolean;
}

/** Why live parcels are where they are, the longest overdue first; those without an end last. `parcelIds` null: all of them. */
export async function readWhy(
  db: Queryable,
  parcelIds: readonly string[] | null,
  limit: number,
): Promise<Why[]> {
  const { rows } = await db.query<Why>(
    `select w.parcel_id as "parcelId", w.carrier_code as "carrierCode", w.tracking_number as "trackingNumber", w.status,
      w.titles, w.reason, w.until, w.last_outcome as "lastOutcome", w.last_error as "lastError", w.last_looked_at as "lastLookedAt", w.needs_person as "needsPerson"
    from bookpost_ops.why w
    where $1::uuid[] is null or w.parcel_id = any ($1)
    order by w.until, w.parcel_id
    limit $2`,
    [parcelIds, limit],
  );
  return rows;
}
