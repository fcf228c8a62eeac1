import type { Queryable } from "../../src/db/withTransaction.ts";
import { one } from "./one.ts";

/** A parcel's row. `xmin` changes whenever it is written. */
export interface Parcel {
  readonly status: string;
  readonly status_version: number;
  readonly raw_status: string | null;
  readonly delivered_at: Date | null;
  readonly delivered_local_time: string | null;
  readonly delivered_time_zone: string | null;
  readonly closed_at: Date | null;
  readonly closed_reason: string | null;
  readonly tracking_url: string | null;
  readonly signed_by: string | null;
  readonly is_return: boolean;
  readonly xmin: string;
}

export function parcelOf(db: Queryable, parcelId: string): Promise<Parcel> {
  return one<Parcel & Record<string, unknown>>(
    db,
    `select p.xmin::text || ' ' || p.ctid as xmin, p.*, p.delivered_local_time::text as delivered_local_time
     from bookpost.parcels p where p.id = $1`,
    [parcelId],
  );
}

/** A parcel's check. `wait` is from the last look to the next one, in seconds. */
export interface Check {
  readonly next_check_at: Date | null;
  readonly pause_reason: string | null;
  readonly last_outcome: string | null;
  readonly last_error: string | null;
  readonly unchanged_count: number;
  readonly failure_count: number;
  readonly digest: string | null;
  readonly wait: number;
}

export function checkOf(db: Queryable, parcelId: string): Promise<Check> {
  return one<Check & Record<string, unknown>>(
    db,
    `select *, extract(epoch from next_check_at - last_looked_at)::double precision as wait
     from bookpost_private.checks where parcel_id = $1`,
    [parcelId],
  );
}
