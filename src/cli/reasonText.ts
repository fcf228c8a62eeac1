import type { Why } from "../sql/readWhy.ts";
import { duration, fromNow } from "./ownTime.ts";
import { words } from "./words.ts";

/** The reasons of bookpost_ops.why → what they mean, and who has to do what. */
const REASONS: Readonly<Record<string, string>> = {
  looking: "the carrier is being asked now",
  scheduled: "the next look is planned",
  queued: "in the queue",
  due: "due: a worker takes it within a minute",
  circuit_open: "the carrier failed too often and is left alone for a while",
  circuit_half_open: "one probe is out; the others wait for its answer",
  not_before: "the carrier asked us to wait",
  no_budget: "this carrier allows few calls, and others go first",
  parked: "the carrier refused our credentials; set others and restart the worker",
  not_configured: "no running worker has credentials for this carrier; see npx bookpost doctor",
  no_api: "nobody can be asked; people set its status",
  quarantined: "set aside after a bug of ours; npx bookpost refresh tries again",
};

/** Why a live parcel is where it is, in words, with its end where it has one. */
export function reasonText({ reason, until }: Pick<Why, "reason" | "until">): string {
  const text = REASONS[reason] ?? words(reason);
  if (until === null) return text;
  const ms = until.getTime() - Date.now();
  if (ms > 0) return `${text} (${fromNow(until)})`;
  // Two seconds of waiting are none.
  return ms > -2000 ? text : `${text} (for ${duration(ms)} already)`;
}
