import { setTimeout as sleep } from "node:timers/promises";
import { isPassingTrouble } from "./passingTrouble.ts";

/** Shorter than what is left of a lease (100 s) after the longest lookup (80 s); by then the heartbeat has given the database up. */
const PATIENCE_MS = 15_000;

/** Chosen: a deadlock is over at once, a restart within a second or two. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/**
 * Does something with the database, and does it again while the trouble is of
 * the kind that passes (deadlock, restart, failover, lost link), with pauses
 * that grow. For what may be done twice: of a lost answer nobody knows whether
 * it was done. Throws what is no passing trouble at once, and what does not
 * pass after `patienceMs`.
 */
export async function persist<T>(
  work: () => Promise<T>,
  options: { readonly patienceMs?: number } = {},
): Promise<T> {
  const { patienceMs = PATIENCE_MS } = options;
  const startedAt = performance.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassingTrouble(error) || performance.now() - startedAt > patienceMs) throw error;
      // Between half of it and the whole, so that many who failed together do not come back together.
      await sleep(pauseMs * (0.5 + Math.random() / 2));
    }
  }
}
