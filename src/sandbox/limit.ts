import { z } from "zod";
import type { LogEntry } from "./requestLog.ts";

const common = {
  api: z.string(),
  /** The header's text with each refusal, whatever it is. */
  retryAfter: z.string().optional(),
};

/** What one API lets through. Several may hold at once, of one kind too. */
export const limitSchema = z.union([
  /** So many requests in any `windowMs`: of two that are exactly so far apart, the earlier one no longer counts. */
  z.strictObject({ ...common, calls: z.int().min(0), windowMs: z.int().min(1) }),
  /** So many requests in a day of 24 hours; one day ends, and the next begins, at this instant. */
  z.strictObject({ ...common, calls: z.int().min(0), resetsAt: z.iso.datetime({ offset: true }) }),
  /** So many requests under way at once. */
  z.strictObject({ ...common, inFlight: z.int().min(0) }),
]);

export type LimitInput = z.input<typeof limitSchema>;
export type Limit = z.output<typeof limitSchema>;

/** Which kind of limit a request broke. */
export type LimitKind = "window" | "day" | "in_flight";

const DAY_MS = 24 * 3_600_000;

/**
 * The limits in force. The request log is the count: every request of an API
 * counts, whatever it was for and whether or not it was let in, and so do those
 * from before the limit was set.
 */
export function createLimits() {
  let limits: Limit[] = [];
  return {
    add(input: LimitInput): void {
      limits.push(limitSchema.parse(input));
    },
    clear(): void {
      limits = [];
    },
    /** The limit that the log's last request broke, the first that was set where it broke several; null where none. */
    brokenBy(entries: readonly LogEntry[]): { kind: LimitKind; retryAfter?: string } | null {
      const last = entries.at(-1);
      if (last === undefined) return null;
      for (const limit of limits) {
        const kind = limit.api === last.api ? breaks(limit, last, entries) : null;
        if (kind === null) continue;
        const { retryAfter } = limit;
        return { kind, ...(retryAfter === undefined ? {} : { retryAfter }) };
      }
      return null;
    },
  };
}

function breaks(limit: Limit, last: LogEntry, entries: readonly LogEntry[]): LimitKind | null {
  if ("inFlight" in limit) return last.concurrent > limit.inFlight ? "in_flight" : null;
  if ("windowMs" in limit) {
    const after = last.monotonic - limit.windowMs;
    return count(entries, last.api, ({ monotonic }) => monotonic > after) > limit.calls
      ? "window"
      : null;
  }
  const reset = Date.parse(limit.resetsAt);
  const dayBegan = reset + Math.floor((last.at - reset) / DAY_MS) * DAY_MS;
  return count(entries, last.api, ({ at }) => at >= dayBegan) > limit.calls ? "day" : null;
}

/** How many requests of an API the log ends with, back to the first of any API that is too old. */
function count(
  entries: readonly LogEntry[],
  api: string,
  isRecent: (entry: LogEntry) => boolean,
): number {
  const tooOld = entries.findLastIndex((entry) => !isRecent(entry));
  return entries.slice(tooOld + 1).filter((entry) => entry.api === api).length;
}
