import type { Queryable } from "../../src/db/withTransaction.ts";
import { one } from "./one.ts";

/** A circuit's row; intervals as text, `seconds_open` how long this opening lasts from its start. */
export interface Circuit {
  readonly state: string;
  readonly generation: number;
  readonly consecutive_failures: number;
  readonly failed_lookup_ids: readonly string[];
  readonly probe_lookup_id: string | null;
  readonly is_forced: boolean;
  readonly cooldown: string | null;
  /** From the last move to `open_until`. */
  readonly open_for: string | null;
  /** Changes whenever the row is written. */
  readonly xmin: string;
}

export function circuitOf(db: Queryable, apiCode: string): Promise<Circuit> {
  return one<Circuit & Record<string, unknown>>(
    db,
    `select state, generation, consecutive_failures, failed_lookup_ids, probe_lookup_id, is_forced,
       cooldown::text, (open_until - changed_at)::text as open_for, xmin::text || ' ' || ctid as xmin
     from bookpost.carrier_circuits where api_code = $1`,
    [apiCode],
  );
}

/** How the circuit moved, oldest first: "closed → open", with reason and evidence. */
export async function transitionsOf(
  db: Queryable,
  apiCode: string,
): Promise<
  {
    readonly move: string;
    readonly generation: number;
    readonly reason: string;
    readonly lookup_ids: readonly string[];
    readonly author: string | null;
  }[]
> {
  const { rows } = await db.query(
    `select from_state || ' → ' || to_state as move, generation, reason, lookup_ids, author
     from bookpost_private.circuit_transitions where api_code = $1 order by id`,
    [apiCode],
  );
  return rows;
}
