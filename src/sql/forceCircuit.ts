import type { Queryable } from "../db/withTransaction.ts";

export interface ForcedCircuit {
  readonly apiCode: string;
  readonly state: string;
  readonly isForced: boolean;
  readonly forcedUntil: Date | null;
}

/** Holds a circuit open or closed, or resets it. `holdFor` in Postgres's words ("1 hour"). Raises BP404 and BP400. */
export async function forceCircuit(
  db: Queryable,
  order: {
    readonly apiCode: string;
    readonly to: "open" | "closed" | "reset";
    readonly author: string;
    readonly reason: string;
    readonly holdFor: string;
  },
): Promise<ForcedCircuit> {
  const { rows } = await db.query<ForcedCircuit>(
    `select c.api_code as "apiCode", c.state, c.is_forced as "isForced", c.forced_until as "forcedUntil"
    from bookpost_private.force_circuit($1, $2, $3, $4, $5::interval) c`,
    [order.apiCode, order.to, order.author, order.reason, order.holdFor],
  );
  return rows[0] as ForcedCircuit;
}
