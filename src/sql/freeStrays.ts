import type { Queryable } from "../db/withTransaction.ts";

/**
 * Frees what a living worker holds in the database and does not know of, jobs
 * and lookups: `bookpost_private.free_strays`. Returns how many. Commits.
 */
export async function freeStrays(
  db: Queryable,
  workerId: string,
  jobIds: readonly string[],
  lookupIds: readonly string[],
): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "select bookpost_private.free_strays($1, $2, $3) as count",
    [workerId, jobIds, lookupIds],
  );
  return rows[0]?.count ?? 0;
}
