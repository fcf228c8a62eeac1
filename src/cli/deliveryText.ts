import type { DeliveryRow } from "../sql/readDeliveries.ts";
import { oneLine } from "./oneLine.ts";
import { duration, fromNow } from "./ownTime.ts";
import { whyNotText } from "./whyNotText.ts";
import { words } from "./words.ts";

/** Why a message was dropped or is dead → what that means; those of `why_not_reached` are told by channel. */
const REASONS: Readonly<Record<string, string>> = {
  superseded: "newer news of the same book went out",
  book_gone: "its book was removed",
  verified: "the number was verified meanwhile",
  failed: "a bug of ours",
  attempts_spent: "tried as often as it may be",
  too_old: "could not be sent in time",
  refused: "the other side will never take it",
  no_such_address: "the address does not exist",
  gone: "the endpoint is gone (410), and disabled",
  endpoint_disabled: "the endpoint is disabled",
};

type Told = Pick<
  DeliveryRow,
  "channel" | "state" | "reason" | "dueAt" | "tookMs" | "failureCount" | "lastError" | "isDoubtful"
>;

/** What became of a message, in words: "sent in 0.4 seconds", "dropped: the number is not verified (…)". */
export function deliveryText(message: Told): string {
  const { channel, state, reason, dueAt, tookMs, lastError, isDoubtful } = message;
  const error = lastError === null ? "" : `: ${oneLine(lastError)}`;
  switch (state) {
    case "sent":
      return `sent in ${took(tookMs ?? 0)}${isDoubtful ? ", perhaps twice" : ""}`;
    case "folded":
      return "told in a digest, since more came than is sent in an hour";
    case "dropped":
      return `dropped: ${REASONS[reason ?? ""] ?? whyNotText(channel, reason ?? "")}`;
    case "dead":
      return `dead: ${REASONS[reason ?? ""] ?? words(reason ?? "")}${error}`;
    case "sending":
      return "being sent";
    case "queued":
      return `waits, due ${fromNow(dueAt)}${error}`;
    default:
      return state satisfies never;
  }
}

/** A message by hand takes less than a second: told in tenths. */
function took(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms);
}
