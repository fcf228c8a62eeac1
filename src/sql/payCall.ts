import type { Queryable } from "../db/withTransaction.ts";

/** A request that was paid for: send it no sooner than `waitMs` after the answer came, and no later than `useWithinMs` after that. */
export type Payment =
  | { readonly refusal: null; readonly waitMs: number; readonly useWithinMs: number }
  | { readonly refusal: string; readonly retryInMs: number | null };

/** Pays for one more request of a lookup under way: `bookpost_private.pay_call`. Commits. */
export async function payCall(
  db: Queryable,
  lookupId: string,
  kind: "lookup" | "token" | "register",
): Promise<Payment> {
  const { rows } = await db.query<Payment>(
    `select refusal, wait_ms as "waitMs", use_within_ms as "useWithinMs",
       extract(epoch from retry_at - clock_timestamp())::double precision * 1000 as "retryInMs"
     from bookpost_private.pay_call($1, $2)`,
    [lookupId, kind],
  );
  return rows[0] as Payment;
}
