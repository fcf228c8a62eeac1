import type { Queryable } from "../db/withTransaction.ts";

export interface CircuitRow {
  readonly apiCode: string;
  readonly state: "closed" | "open" | "half_open";
  readonly generation: number;
  readonly consecutiveFailures: number;
  readonly openUntil: Date | null;
  readonly isForced: boolean;
  /** After an outage: until when lookups are let through gradually. */
  readonly releasedUntil: Date | null;
  readonly heldBy: string | null;
  readonly heldUntil: Date | null;
  readonly parkedReason: string | null;
  readonly dayCalls: number;
  readonly callsPerDay: number | null;
  readonly inFlight: number;
  readonly due: number;
  readonly lastTransition: string | null;
  readonly lastTransitionAt: Date | null;
}

/** Each API's circuit and what holds it back, by code. */
export async function readCircuits(db: Queryable): Promise<CircuitRow[]> {
  const { rows } = await db.query<CircuitRow>(
    `select c.api_code as "apiCode", c.state, c.generation, c.consecutive_failures as "consecutiveFailures",
      c.open_until as "openUntil", c.is_forced as "isForced", c.released_until as "releasedUntil", c.held_by as "heldBy", c.held_until as "heldUntil",
      c.parked_reason as "parkedReason", c.day_calls as "dayCalls", c.calls_per_day as "callsPerDay",
      c.in_flight as "inFlight", c.due, c.last_transition as "lastTransition", c.last_transition_at as "lastTransitionAt"
    from bookpost_ops.circuits c
    order by c.api_code`,
  );
  return rows;
}
