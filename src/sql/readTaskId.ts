import type { Queryable } from "../db/withTransaction.ts";

/** The queue's own number for a task; null where it has none. A worker asks for its jobs by the numbers it read at its start. */
export async function readTaskId(db: Queryable, task: string): Promise<number | null> {
  const { rows } = await db.query<{ id: number }>(
    "select id from graphile_worker._private_tasks where identifier = $1",
    [task],
  );
  return rows[0]?.id ?? null;
}
