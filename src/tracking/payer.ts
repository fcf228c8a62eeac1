import type pg from "pg";
import type { LookupOptions } from "../carriers/client.ts";
import { isPassingTrouble } from "../db/passingTrouble.ts";
import { NotAsked } from "../errors.ts";
import type { Confirmation } from "../sql/confirmLookups.ts";
import { payCall } from "../sql/payCall.ts";
import { awaitTurn } from "./awaitTurn.ts";

/** Chosen: a process that is late so often is too busy to be let loose on a carrier. */
const TRIES = 3;

/** Chosen: long enough for a deadlock, a restart or a lost link to be over. */
const PASSING_MS = 2_000;

/**
 * Makes `beforeRequest` of one lookup. Its permit has paid for the first
 * request, whatever that is, if it goes out before `callBefore`
 * (`performance.now()`); each further one, and a first one that is late, is
 * paid for and waits for its moment. Throws NotAsked where the database refuses.
 */
export function payer(options: {
  readonly pool: pg.Pool;
  readonly lookupId: string;
  readonly callBefore: number;
  readonly signal: AbortSignal;
  /** Whether the lookup still stands, after a wait. */
  readonly confirm: () => Promise<Confirmation>;
}): NonNullable<LookupOptions["beforeRequest"]> {
  const { pool, lookupId, callBefore, signal, confirm } = options;
  let isPrepaid = true;
  return async (kind) => {
    const isInTime = isPrepaid && performance.now() <= callBefore;
    isPrepaid = false;
    if (isInTime) return;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const askedAt = performance.now();
      const payment = await unlessPassing(payCall(pool, lookupId, kind));
      if (payment.refusal !== null) throw new NotAsked(payment.refusal, payment.retryInMs);
      // Granted between these two moments: waiting from the later one is never too early,
      // counting from the earlier one never too late, whatever the clocks say.
      const at = performance.now() + payment.waitMs;
      const { waitMs } = payment;
      const refused = await unlessPassing(awaitTurn({ at, askedAt, waitMs, signal, confirm }));
      if (refused) throw new NotAsked(refused.refusal, refused.retryInMs);
      if (performance.now() <= askedAt + waitMs + payment.useWithinMs) return;
    }
    throw new NotAsked("late", 0);
  };
}

/** The database is away for a moment: that is no news of the carrier, and no bug. */
async function unlessPassing<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isPassingTrouble(error)) throw new NotAsked("no_database", PASSING_MS);
    throw error;
  }
}
