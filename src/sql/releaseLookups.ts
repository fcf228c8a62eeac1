import type { Queryable } from "../db/withTransaction.ts";

/** Gives back permits under which no request went out: `bookpost_private.release_lookups`. Returns how many were still held. Commits. */
export async function releaseLookups(
  db: Queryable,
  lookupIds: readonly string[],
  reason: string,
): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "select bookpost_private.release_lookups($1, $2) as count",
    [lookupIds, reason],
  );
  return rows[0]?.count ?? 0;
}
