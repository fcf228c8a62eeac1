import type { Queryable } from "../db/withTransaction.ts";

/** Removes old changes, one batch: `bookpost_private.prune_changes`. Returns how many; call it again while it is not 0. Commits. */
export async function pruneChanges(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "select bookpost_private.prune_changes() as count",
  );
  return rows[0]?.count ?? 0;
}
