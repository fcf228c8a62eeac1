import type { Queryable } from "../db/withTransaction.ts";

/** How many lookups some APIs may have in flight together: all their calls, and as many parcels in each as it takes. */
export async function readLookupsInFlight(
  db: Queryable,
  apiCodes: readonly string[],
): Promise<number> {
  const { rows } = await db.query<{ lookups: number }>(
    `select coalesce(sum(a.calls_in_flight * a.batch_size), 0)::integer as lookups
    from bookpost.carrier_apis a where a.code = any ($1)`,
    [apiCodes],
  );
  return rows[0]?.lookups ?? 0;
}
