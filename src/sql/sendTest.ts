import type { Queryable } from "../db/withTransaction.ts";

/** Queues a test message to a person by every channel that is configured: `bookpost_private.send_test`. Their ids. Raises BP404. Commits. */
export async function sendTest(db: Queryable, userId: string): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    "select id from bookpost_private.send_test($1::uuid) as t (id)",
    [userId],
  );
  return rows.map(({ id }) => id);
}
