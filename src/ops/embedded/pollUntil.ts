import { setTimeout as pause } from "node:timers/promises";

/** Asks `question` every `everyMs` until it gives something other than undefined; undefined when `patienceMs` have passed first. */
export async function pollUntil<T>(
  question: () => Promise<T | undefined>,
  { patienceMs, everyMs = 25 }: { patienceMs: number; everyMs?: number },
): Promise<T | undefined> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await question();
    if (answer !== undefined || performance.now() >= deadline) return answer;
    await pause(everyMs);
  }
}
