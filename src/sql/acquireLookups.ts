import type { Queryable } from "../db/withTransaction.ts";

/** Why a parcel may not be looked up now. */
export type Refusal =
  | "busy"
  | "gone"
  | "not_due"
  | "closed"
  | "no_api"
  | "quarantined"
  | "circuit_open"
  | "circuit_half_open"
  | "not_before"
  | "no_budget"
  | "parked";

/** The right to one lookup. Call no sooner than `waitMs` after the answer came, and no later than `useWithinMs` after that. */
export interface Permit {
  readonly verdict: "permit";
  readonly parcelId: string;
  readonly lookupId: string;
  /** Permits with the same one share a request. */
  readonly batchId: string;
  readonly apiCode: string;
  readonly carrierCode: string;
  readonly trackingNumber: string;
  readonly waitMs: number;
  readonly useWithinMs: number;
}

export type Verdict =
  | Permit
  | {
      readonly verdict: Refusal;
      readonly parcelId: string;
      /** Until when the reason holds, where that is known: an instant of the database's clock, and how far away it was there. */
      readonly retryAt: Date | null;
      readonly retryInMs: number | null;
    };

/** Asks for permission to look up parcels: `bookpost_private.acquire_lookups`. One verdict for each id given, in that order. Commits. */
export async function acquireLookups(
  db: Queryable,
  parcelIds: readonly string[],
  workerId: string,
): Promise<Verdict[]> {
  const { rows } = await db.query<{
    parcelId: string;
    verdict: Verdict["verdict"];
    retryAt: Date | null;
    retryInMs: number | null;
    lookupId: string;
    batchId: string;
    apiCode: string;
    carrierCode: string;
    trackingNumber: string;
    waitMs: number;
    useWithinMs: number;
  }>(
    `select parcel_id as "parcelId", verdict, retry_at as "retryAt",
       case when isfinite(retry_at) then extract(epoch from retry_at - clock_timestamp())::double precision * 1000 end as "retryInMs", lookup_id as "lookupId", batch_id as "batchId",
       api_code as "apiCode", carrier_code as "carrierCode", tracking_number as "trackingNumber", wait_ms as "waitMs", use_within_ms as "useWithinMs"
     from bookpost_private.acquire_lookups($1, $2)`,
    [[...new Set(parcelIds)], workerId],
  );
  const verdicts = new Map<string, Verdict>();
  for (const { verdict, parcelId, retryAt, retryInMs, ...permit } of rows)
    verdicts.set(
      parcelId,
      verdict === "permit"
        ? { verdict, parcelId, ...permit }
        : { verdict, parcelId, retryAt, retryInMs },
    );
  return parcelIds.map((parcelId) => {
    const verdict = verdicts.get(parcelId);
    // Asked for twice at once: the first caller has the permit, to the second the parcel is busy.
    verdicts.delete(parcelId);
    return verdict ?? { verdict: "busy", parcelId, retryAt: null, retryInMs: null };
  });
}
