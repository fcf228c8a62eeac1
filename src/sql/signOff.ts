import type { Queryable } from "../db/withTransaction.ts";

/**
 * A worker whose pool has drained takes its row away, so that nobody mistakes it
 * for dead. What the queue still has locked for it is given back first: the word
 * of its end, or the jobs of a last fetch, never arrived. Returns how many jobs
 * that were. Commits.
 */
export async function signOff(db: Queryable, workerId: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "select bookpost_private.free_jobs(array[$1::text], 'infinity') as count",
    [workerId],
  );
  // One that dies here is found dead, as any other.
  await db.query("delete from bookpost_private.workers where id = $1", [workerId]);
  return rows[0]?.count ?? 0;
}
