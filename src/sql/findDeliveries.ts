import type { Queryable } from "../db/withTransaction.ts";

/** The ids of messages in a range of ids; two at most, which is enough to say that it is not one. */
export async function findDeliveries(
  db: Queryable,
  [from, until]: readonly [from: string, until: string],
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    "select d.id from bookpost_private.deliveries d where d.id between $1::uuid and $2::uuid order by d.id limit 2",
    [from, until],
  );
  return rows.map(({ id }) => id);
}
