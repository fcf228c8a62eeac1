import type { LogEntry } from "../../src/sandbox/requestLog.ts";

// Says from the sandbox's log alone who called too often or too soon. Counts for itself: it would be no
// evidence to ask the sandbox's own limits again.

/** What the log has to tell of a request: all of one API's, in their order. */
export type Call = Pick<LogEntry, "at" | "monotonic" | "concurrent" | "retryAfter">;

/** So many calls in any `windowMs`. Of two that are exactly so far apart, the earlier one no longer counts. */
export interface WindowLimit {
  readonly calls: number;
  readonly windowMs: number;
}

/** A stretch of the log's monotonic clock, in milliseconds; the end does not belong to it. */
export interface Span {
  readonly from: number;
  readonly until: number;
}

const DAY_MS = 24 * 3_600_000;

/** The calls that were one too many within a window. */
export function callsOverWindow<C extends Call>(
  calls: readonly C[],
  { calls: allowed, windowMs }: WindowLimit,
): C[] {
  return calls.filter(
    (call, i) => call.monotonic - (calls[i - allowed]?.monotonic ?? -Infinity) < windowMs,
  );
}

/** The calls that were one too many in a day that ends or begins at `resetsAt`, a time of the log's wall clock. */
export function callsOverDay<C extends Call>(
  calls: readonly C[],
  { calls: allowed, resetsAt }: { readonly calls: number; readonly resetsAt: Date },
): C[] {
  const dayOf = (call: Call) => Math.floor((call.at - resetsAt.getTime()) / DAY_MS);
  return [...Map.groupBy(calls, dayOf).values()].flatMap((day) => day.slice(allowed));
}

/** The calls that came while as many as allowed were under way. */
export function callsOverInFlight<C extends Call>(calls: readonly C[], allowed: number): C[] {
  return calls.filter(({ concurrent }) => concurrent > allowed);
}

/** When callers had been told to wait: from each answer with a Retry-After until the moment it names. */
export function holdsOf(calls: readonly Call[]): Span[] {
  return calls.flatMap(({ at, monotonic, retryAfter }) => {
    if (retryAfter === null) return [];
    const seconds = Number(retryAfter);
    const waitMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - at : seconds * 1_000;
    if (Number.isNaN(waitMs)) throw new Error(`"${retryAfter}" is no Retry-After.`);
    return waitMs > 0 ? [{ from: monotonic, until: monotonic + waitMs }] : [];
  });
}

/** The calls that came while a hold was running, later than `graceMs` after it began: no request is on its way for longer. */
export function callsDuringHold<C extends Call>(calls: readonly C[], graceMs: number): C[] {
  const holds = holdsOf(calls);
  return calls.filter(({ monotonic }) =>
    holds.some(({ from, until }) => from + graceMs < monotonic && monotonic < until),
  );
}

/**
 * Calls made ÷ calls that were possible in a span of some windows' length,
 * less the time for which callers had been told to wait.
 */
export function useOfWindow(
  calls: readonly Call[],
  { calls: allowed, windowMs }: WindowLimit,
  { from, until }: Span,
): number {
  const made = calls.filter(({ monotonic }) => from <= monotonic && monotonic < until).length;
  let openMs = 0;
  let openFrom = from;
  for (const hold of holdsOf(calls)) {
    openMs += Math.max(0, Math.min(hold.from, until) - openFrom);
    openFrom = Math.max(openFrom, hold.until);
  }
  openMs += Math.max(0, until - openFrom);
  return made / ((allowed * openMs) / windowMs);
}
