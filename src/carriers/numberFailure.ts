import {
  type LookupError,
  type LookupFailure,
  Malformed,
  NotFound,
  OutOfQuota,
  RateLimited,
  Rejected,
  Unavailable,
} from "../errors.ts";
import type { CarrierAdapter } from "./carrier.ts";

/**
 * The error for one number that a carrier turned away while it answered for
 * others, by the adapter's table of outcomes. A code that is not in it is
 * malformed, as an error inside a success is everywhere.
 */
export function numberFailure(
  { name, outcomes = {} }: Pick<CarrierAdapter, "name" | "outcomes">,
  code: string,
): LookupError {
  const outcome = Object.hasOwn(outcomes, code) ? outcomes[code] : undefined;
  const isUsable = /^[\w.-]{1,40}$/.test(code);
  const { make, sentence } = FAILURES[outcome ?? "malformed"];
  return new make(
    isUsable ? code : "TURNED_AWAY",
    `${name} ${sentence}${isUsable ? ` (code ${code})` : ""}.`,
  );
}

const malformed = {
  make: Malformed,
  sentence: "turned this number away for a reason we do not know",
};

const FAILURES: Record<
  LookupFailure,
  { readonly make: new (code: string, message: string) => LookupError; readonly sentence: string }
> = {
  not_found: { make: NotFound, sentence: "does not know this number (yet)" },
  unavailable: { make: Unavailable, sentence: "is in trouble with this number" },
  rate_limited: { make: RateLimited, sentence: "asks us to slow down" },
  rejected: { make: Rejected, sentence: "refuses our request about this number" },
  out_of_quota: { make: OutOfQuota, sentence: "will not take this number: the allowance is spent" },
  malformed,
  // No carrier speaks of our side.
  local: malformed,
};
