import { setTimeout as sleep } from "node:timers/promises";

/**
 * Waits for a fact: asks `probe` until it answers something, and fails with
 * `what` when that has not come true in time. The deadline only ends a hang.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false>,
  deadlineMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`still not true: ${what}`);
    await sleep(20);
  }
}
