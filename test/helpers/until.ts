import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds from one question to the next: a fiftieth of what it has taken so far, and so a fiftieth too late at most. */
const pauseAfter = (waitedMs: number) => Math.min(100, Math.max(20, waitedMs / 50));

/** The failure table keeps a machine busier than `npm test` does. */
const DEADLINE_MS = process.env.FAULTS === "1" ? 60_000 : 20_000;

/**
 * Waits for a fact: asks `probe` until it answers something, and fails with
 * `what` when that has not come true in time. The deadline only ends a hang.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const start = performance.now();
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) return value;
    const waitedMs = performance.now() - start;
    if (waitedMs > deadlineMs) throw new Error(`still not true: ${what}`);
    await sleep(pauseAfter(waitedMs));
  }
}
