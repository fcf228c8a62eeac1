import type pg from "pg";

/** Anything that runs a statement: a pool (each statement by itself) or one client (inside its transaction). */
export type Queryable = Pick<pg.Pool, "query"> | Pick<pg.ClientBase, "query">;

/**
 * Runs `work` in one transaction on one client: commits when it resolves, rolls
 * back and throws on when it rejects. A client whose connection is in doubt is
 * destroyed, not put back.
 */
export async function withTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit");
    return result;
  } catch (error) {
    try {
      await client.query("rollback");
    } catch (rollbackError) {
      broken = rollbackError as Error;
    }
    throw error;
  } finally {
    client.release(broken);
  }
}
