import type { Queryable } from "../db/withTransaction.ts";

/** Gives up lookups whose end cannot be recorded; their parcels are due at once: `bookpost_private.interrupt_lookups`. Returns how many were still held. Commits. */
export async function interruptLookups(
  db: Queryable,
  lookupIds: readonly string[],
  why: string,
): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "select bookpost_private.interrupt_lookups($1, $2) as count",
    [lookupIds, why],
  );
  return rows[0]?.count ?? 0;
}
