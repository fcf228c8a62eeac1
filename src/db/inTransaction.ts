import type pg from "pg";

/** Runs `work` in one transaction on the client at hand: commits when it resolves, rolls back and throws on when it rejects. */
export async function inTransaction<T>(
  client: Pick<pg.ClientBase, "query">,
  work: () => Promise<T>,
): Promise<T> {
  await client.query("begin");
  try {
    const result = await work();
    await client.query("commit");
    return result;
  } catch (error) {
    // Where that fails too the connection is gone, and the transaction with it.
    await client.query("rollback").catch(() => {});
    throw error;
  }
}
