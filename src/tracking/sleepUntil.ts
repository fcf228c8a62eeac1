import { setTimeout as sleep } from "node:timers/promises";

/** Sleeps until `performance.now()` has reached `at`, or `signal` fires; never ends early otherwise. */
export async function sleepUntil(at: number, signal: AbortSignal): Promise<void> {
  // Timers may fire up to a millisecond early.
  for (
    let left = at - performance.now();
    left > 0 && !signal.aborted;
    left = at - performance.now()
  )
    await sleep(left + 1, undefined, { signal }).catch(() => {});
}
