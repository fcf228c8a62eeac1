/** Where the parcel of a public link is. Times as Postgres writes them in JSON: instants with their offset, wall clocks without. */
export interface SharedParcel {
  readonly carrierName: string;
  readonly status: string;
  readonly statusChangedAt: string;
  readonly estimatedFrom: string | null;
  readonly estimatedUntil: string | null;
  readonly estimatedTimeZone: string | null;
  readonly isEstimateADate: boolean;
  readonly deliveredAt: string | null;
  readonly deliveredLocalTime: string | null;
  readonly deliveredTimeZone: string | null;
  readonly lastScanAt: string | null;
  readonly lastScanLocalTime: string | null;
  readonly lastScanTimeZone: string | null;
  readonly isLastScanADate: boolean | null;
  readonly lastScanLocation: string | null;
  readonly expiresAt: string;
}

/** A client of ours or of PostGraphile's. */
interface Queryable {
  query(query: {
    text: string;
    values: unknown[];
    name: string;
  }): Promise<{ readonly rows: readonly unknown[] }>;
}

/** The parcels that these tokens open, each in its token's place; null where a token opens none. */
export async function readSharedParcels(
  db: Queryable,
  tokens: readonly string[],
): Promise<readonly (SharedParcel | null)[]> {
  const { rows } = await db.query({
    // A read with a name needs no transaction around it (pipelinedReads.ts).
    name: "read_shared_parcels",
    text: `select case when s.status is not null then json_build_object(
             'carrierName', s.carrier_name, 'status', s.status, 'statusChangedAt', s.status_changed_at,
             'estimatedFrom', s.estimated_from, 'estimatedUntil', s.estimated_until,
             'estimatedTimeZone', s.estimated_time_zone, 'isEstimateADate', s.is_estimate_a_date,
             'deliveredAt', s.delivered_at, 'deliveredLocalTime', s.delivered_local_time, 'deliveredTimeZone', s.delivered_time_zone,
             'lastScanAt', s.last_scan_at, 'lastScanLocalTime', s.last_scan_local_time, 'lastScanTimeZone', s.last_scan_time_zone,
             'isLastScanADate', s.is_last_scan_a_date, 'lastScanLocation', s.last_scan_location, 'expiresAt', s.expires_at
           ) end as parcel
           from unnest($1::text[]) with ordinality as t (token, place)
           left join lateral bookpost.shared_parcel(t.token) s on true
           order by t.place`,
    values: [tokens],
  });
  return (rows as readonly { parcel: SharedParcel | null }[]).map(({ parcel }) => parcel);
}
