import { DateTime } from "luxon";
import type { CarrierResponse } from "./carrier.ts";

/** Sooner would be a hot loop, later is a mistake or a daily quota that resets by then anyway. Chosen; revisit when a carrier means longer. */
const SHORTEST_MS = 1_000;
const LONGEST_MS = 24 * 3_600_000;

/**
 * The instant an answer's Retry-After names, between a second and a day from
 * when it was received; null where there is none or it makes no sense. A date
 * is compared with the answer's own `Date`, so a carrier whose clock is wrong,
 * or ours, still means the wait it meant. Without a `Date` a date says nothing:
 * on a clock of ours that is an hour slow, "in a minute" would be an hour.
 * @param resetHeader a header that gives the instant in Unix seconds, read where there is no Retry-After
 */
export function readRetryAfter(
  response: Pick<CarrierResponse, "headers" | "receivedAt">,
  resetHeader?: string,
): Date | null {
  const text = response.headers["retry-after"]?.trim() ?? "";
  const reset = resetHeader === undefined ? "" : (response.headers[resetHeader]?.trim() ?? "");
  const { receivedAt } = response;
  const answeredAt = readHttpDate(response.headers.date ?? "");
  const waitMs = NUMBER.test(text)
    ? Number(text) * 1_000
    : text === "" && NUMBER.test(reset)
      ? Number(reset) * 1_000 - answeredAt
      : readHttpDate(text) - answeredAt;
  if (Number.isNaN(waitMs)) return null;
  return new Date(receivedAt.getTime() + Math.min(Math.max(waitMs, SHORTEST_MS), LONGEST_MS));
}

const NUMBER = /^\d+(\.\d+)?$/;

/** Milliseconds since 1970, or NaN. Only the three forms HTTP allows: Date.parse would take nearly anything. */
function readHttpDate(text: string): number {
  return DateTime.fromHTTP(text.trim()).toMillis();
}
