import type { Queryable } from "../db/withTransaction.ts";

/** One lookup's end in the database's own words: `bookpost_private.lookup_report`, whose comment explains the fields. */
export interface LookupReport {
  readonly lookup_id: string;
  readonly outcome: string;
  readonly error_code?: string | null;
  readonly error_message?: string | null;
  readonly retry_after_ms?: number | null;
  readonly is_api_wide?: boolean;
  readonly calls: readonly {
    readonly kind: string;
    readonly http_status: number | null;
    readonly age_ms: number;
    readonly duration_ms: number;
  }[];
  readonly body?: string | null;
  readonly digest?: string;
  readonly status?: string | null;
  readonly raw_status?: string | null;
  readonly raw_text?: string | null;
  readonly is_return?: boolean;
  readonly estimated_from?: string | null;
  readonly estimated_until?: string | null;
  readonly estimated_time_zone?: string | null;
  readonly is_estimate_a_date?: boolean;
  readonly signed_by?: string | null;
  readonly tracking_url?: string | null;
  readonly events?: readonly Record<string, unknown>[];
}

export interface RecordedLookup {
  readonly lookupId: string;
  readonly outcome: string;
  /** These may be null where the outcome is `busy`. */
  readonly parcelId: string | null;
  readonly status: string | null;
  readonly previousStatus: string | null;
}

/**
 * Writes down how lookups ended, in the order given: `bookpost_private.record_lookups`.
 * A missing row was stale; one with outcome `busy` was not written and has to be
 * sent again, since another transaction has its parcel in hand. Commits.
 */
export async function recordLookups(
  db: Queryable,
  reports: readonly LookupReport[],
  workerId: string,
): Promise<RecordedLookup[]> {
  const { rows } = await db.query<RecordedLookup>(
    `select lookup_id as "lookupId", parcel_id as "parcelId", outcome, status, previous_status as "previousStatus"
     from bookpost_private.record_lookups($1, $2)`,
    [JSON.stringify(reports), workerId],
  );
  return rows;
}
