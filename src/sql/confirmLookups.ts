import type { Queryable } from "../db/withTransaction.ts";

/** Why a permit that had to wait may no longer be used; null where it may. */
export interface Confirmation {
  readonly lookupId: string;
  readonly refusal: string | null;
  readonly retryInMs: number | null;
}

/** Asks whether permits still stand: `bookpost_private.confirm_lookups`. One answer for each id, in their order. Changes nothing. */
export async function confirmLookups(
  db: Queryable,
  lookupIds: readonly string[],
): Promise<Confirmation[]> {
  const { rows } = await db.query<Confirmation>(
    `select lookup_id as "lookupId", refusal,
       extract(epoch from retry_at - clock_timestamp())::double precision * 1000 as "retryInMs"
     from bookpost_private.confirm_lookups($1)`,
    [lookupIds],
  );
  const byId = new Map(rows.map((row) => [row.lookupId, row]));
  return lookupIds.map(
    (lookupId) => byId.get(lookupId) ?? { lookupId, refusal: "gone", retryInMs: null },
  );
}
