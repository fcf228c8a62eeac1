import type { Queryable } from "../db/withTransaction.ts";

/** Frees what dead workers hold: `bookpost_private.sweep`. Returns how many lookups it closed as interrupted. Commits. */
export async function sweep(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: number }>("select bookpost_private.sweep() as count");
  return rows[0]?.count ?? 0;
}
