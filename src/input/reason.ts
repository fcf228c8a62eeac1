import { LONGEST, refusal } from "./refusals.ts";

/**
 * Why somebody marks a book.
 * @throws InputError NO_REASON, LONG_REASON
 */
export function readReason(reason: string | null | undefined): string {
  if (!reason?.trim()) throw refusal("NO_REASON");
  if (reason.length > LONGEST.reason) throw refusal("LONG_REASON", reason);
  return reason;
}
