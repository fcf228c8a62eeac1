import { createHash } from "node:crypto";
import type { LookupReport } from "../../src/sql/recordLookups.ts";

const ONE_CALL = [{ kind: "lookup", http_status: 200, age_ms: 50, duration_ms: 40 }];

/** One scan as `record_lookups` takes it; `at` is its instant. */
export function scan(
  at: string,
  status: string | null,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    identity: `${at} ${status}`,
    occurred_at: at,
    local_time: null,
    time_zone: "UTC",
    is_date_only: false,
    raw_time: at,
    status,
    raw_code: status ?? "XX",
    is_code_listed: true,
    description: null,
    location: null,
    country_code: null,
    reason_code: null,
    is_action_required: false,
    sort_at: at,
    sort_rank: 0,
    ...more,
  };
}

/** The report of a lookup that was answered. Its digest is made from what it tells, unless given. */
export function found(lookupId: string, told: Partial<LookupReport> = {}): LookupReport {
  const answer = {
    status: null,
    raw_status: null,
    raw_text: null,
    is_return: false,
    estimated_from: null,
    estimated_until: null,
    estimated_time_zone: null,
    is_estimate_a_date: false,
    signed_by: null,
    tracking_url: null,
    events: [],
    ...told,
  };
  return {
    lookup_id: lookupId,
    outcome: "found",
    calls: ONE_CALL,
    body: "{}",
    digest: createHash("sha256").update(JSON.stringify(answer)).digest("base64url"),
    ...answer,
  };
}

/** The report of a lookup that ended otherwise: a word of `bookpost_private.lookup_outcomes`. */
export function failed(
  lookupId: string,
  outcome: string,
  more: Partial<LookupReport> = {},
): LookupReport {
  return {
    lookup_id: lookupId,
    outcome,
    error_code: outcome.toUpperCase(),
    error_message: "It did not work.",
    retry_after_ms: null,
    is_api_wide: false,
    calls: ONE_CALL,
    body: null,
    ...more,
  };
}
