import type { Confirmation } from "../sql/confirmLookups.ts";
import { sleepUntil } from "./sleepUntil.ts";

/** Chosen: what may have changed meanwhile is asked once more after a wait as long as this. */
const CONFIRM_AFTER_MS = 100;

/** Chosen: half of the time after which a process that says nothing is taken for dead (`dead_after`) and its leases are taken away. */
const STOOD_STILL_MS = 2_500;

/**
 * Waits for the moment of a request that was granted `waitMs` ahead, until
 * `performance.now()` is `at`. After a longer wait the circuit may have opened,
 * or the carrier may have asked us to stop; and if this process has stood still
 * since it asked, another may be about the lookup already: then what `confirm` answers is the
 * reason why the request must not go out. Null: it may, unless `signal` has fired.
 */
export async function awaitTurn(options: {
  readonly at: number;
  /** `performance.now()` when the request was asked for. */
  readonly askedAt: number;
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly confirm: () => Promise<Confirmation>;
}): Promise<{ readonly refusal: string; readonly retryInMs: number | null } | null> {
  await sleepUntil(options.at, options.signal);
  if (options.signal.aborted) return { refusal: "stopping", retryInMs: 0 };
  const stoodStill = performance.now() - options.askedAt > options.waitMs + STOOD_STILL_MS;
  if (options.waitMs <= CONFIRM_AFTER_MS && !stoodStill) return null;
  const { refusal, retryInMs } = await options.confirm();
  return refusal === null ? null : { refusal, retryInMs };
}
