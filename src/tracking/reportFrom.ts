import { createHash } from "node:crypto";
import type { CarrierCall, LookupResult, Tracking } from "../carriers/carrier.ts";
import { orderEvents } from "../carriers/foldStatus.ts";
import type { LookupError } from "../errors.ts";
import type { LookupReport } from "../sql/recordLookups.ts";

/** A lookup's end as the database wants it told. Times go as ages, so that only the database's clock counts. */
export function reportFrom(lookupId: string, result: LookupResult, now: Date): LookupReport {
  const calls = result.calls.map((call) => ({
    kind: call.kind,
    http_status: call.httpStatus,
    age_ms: Math.max(0, now.getTime() - call.startedAt.getTime()),
    duration_ms: call.durationMs,
  }));
  const shared = { lookup_id: lookupId, calls, body: result.body };
  return result.kind === "found"
    ? { ...shared, outcome: "found", ...found(result.tracking) }
    : { ...shared, outcome: result.error.outcome, ...failed(result.error, result.calls, now) };
}

function found(tracking: Tracking): Partial<LookupReport> {
  // One that ends before it begins says nothing; both ends are written alike, so they compare as text.
  const isEstimateSound = tracking.estimate && tracking.estimate.from <= tracking.estimate.until;
  const estimate = isEstimateSound ? tracking.estimate : null;
  const told = {
    status: tracking.status,
    raw_status: tracking.rawStatus,
    raw_text: tracking.rawText,
    is_return: tracking.isReturn,
    estimated_from: estimate?.from ?? null,
    estimated_until: estimate?.until ?? null,
    estimated_time_zone: estimate?.timeZone ?? null,
    is_estimate_a_date: estimate?.precision === "date",
    signed_by: tracking.signedBy,
    tracking_url: tracking.trackingUrl,
    events: orderEvents(tracking.events).map(({ event, sortAt, sortRank }) => ({
      identity: event.identity,
      occurred_at: event.occurredAt,
      local_time: event.localTime,
      time_zone: event.timeZone,
      is_date_only: event.precision === "date",
      raw_time: event.rawTime,
      status: event.status,
      raw_code: event.rawCode,
      is_code_listed: event.isListed,
      description: event.description,
      location: event.location,
      country_code: event.countryCode,
      reason_code: event.reasonCode,
      is_action_required: event.isActionRequired,
      sort_at: sortAt,
      sort_rank: sortRank,
    })),
  };
  return { ...told, digest: createHash("sha256").update(JSON.stringify(told)).digest("base64url") };
}

function failed(
  error: LookupError,
  calls: readonly CarrierCall[],
  now: Date,
): Partial<LookupReport> {
  return {
    error_code: error.code,
    error_message: error.message,
    retry_after_ms:
      error.retryAt === null ? null : Math.max(0, error.retryAt.getTime() - now.getTime()),
    is_api_wide: error.outcome === "rejected" && isAboutCredentials(calls.at(-1)),
  };
}

/** A refusal of who we are, not of one number: it concerns every parcel of the API. */
function isAboutCredentials(last: CarrierCall | undefined): boolean {
  const { kind, httpStatus } = last ?? {};
  // A token call that went well may have been somebody else's.
  if (kind === "token") return httpStatus !== null && (httpStatus ?? 0) >= 400;
  return httpStatus === 401 || httpStatus === 403;
}
