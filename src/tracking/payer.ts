import type pg from "pg";
import type { LookupOptions } from "../carriers/client.ts";
import { LocalTrouble } from "../errors.ts";
import { payCall } from "../sql/payCall.ts";
import { sleepUntil } from "./sleepUntil.ts";

/** Chosen: a process that is late so often is too busy to be let loose on a carrier. */
const TRIES = 3;

/** Why a request did not go out: the database refused to pay for it. Nothing is known of the carrier. */
export class Unpaid extends LocalTrouble {
  readonly refusal: string;
  readonly retryInMs: number | null;

  constructor(refusal: string, retryInMs: number | null) {
    super("UNPAID", `The request was not sent: ${refusal.replaceAll("_", " ")}.`);
    this.refusal = refusal;
    this.retryInMs = retryInMs;
  }
}

/**
 * Makes `beforeRequest` of one lookup. Its permit has paid for the first
 * request, whatever that is, if it goes out before `callBefore`
 * (`performance.now()`); each further one, and a first one that is late, is
 * paid for and waits for its moment. Throws Unpaid where the database refuses.
 */
export function payer(options: {
  readonly pool: pg.Pool;
  readonly lookupId: string;
  readonly callBefore: number;
  readonly signal: AbortSignal;
}): NonNullable<LookupOptions["beforeRequest"]> {
  const { pool, lookupId, callBefore, signal } = options;
  let isPrepaid = true;
  return async (kind) => {
    const isInTime = isPrepaid && performance.now() <= callBefore;
    isPrepaid = false;
    if (isInTime) return;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const askedAt = performance.now();
      const payment = await payCall(pool, lookupId, kind);
      if (payment.refusal !== null) throw new Unpaid(payment.refusal, payment.retryInMs);
      // Granted between these two moments: waiting from the later one is never too early,
      // counting from the earlier one never too late, whatever the clocks say.
      await sleepUntil(performance.now() + payment.waitMs, signal);
      if (performance.now() <= askedAt + payment.waitMs + payment.useWithinMs) return;
    }
    throw new Unpaid("late", 0);
  };
}
