import type { Queryable } from "../db/withTransaction.ts";

/** Removes messages that ended long ago: `bookpost_private.prune_deliveries`. Returns how many. Commits. */
export async function pruneDeliveries(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "select bookpost_private.prune_deliveries() as count",
  );
  return rows[0]?.count ?? 0;
}
