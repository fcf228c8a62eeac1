import type pg from "pg";

/** Waits until the client's statement waits for a lock of another. Fails when it ends instead. */
export async function untilItWaits(
  watcher: pg.Client | pg.Pool,
  client: pg.Client,
  statement: Promise<unknown>,
): Promise<void> {
  const { processID } = client as unknown as { processID: number };
  let hasEnded = false;
  void statement.then(
    () => {
      hasEnded = true;
    },
    () => {
      hasEnded = true;
    },
  );
  for (;;) {
    const { rows } = await watcher.query<{ waits: boolean }>(
      "select cardinality(pg_blocking_pids($1)) > 0 as waits",
      [processID],
    );
    if (rows[0]?.waits) return;
    if (hasEnded) throw new Error("the statement did not wait for anybody");
  }
}
