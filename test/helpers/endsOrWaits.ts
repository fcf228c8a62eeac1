import type pg from "pg";

/** Waits until the client's statement has ended, or waits for a lock of another: which of the two. */
export async function endsOrWaits(
  watcher: pg.Client | pg.Pool,
  client: pg.Client,
  statement: Promise<unknown>,
): Promise<"ended" | "waits"> {
  const { processID } = client as unknown as { processID: number };
  let hasEnded = false;
  const note = () => {
    hasEnded = true;
  };
  void statement.then(note, note);
  for (;;) {
    const { rows } = await watcher.query<{ waits: boolean }>(
      "select cardinality(pg_blocking_pids($1)) > 0 as waits",
      [processID],
    );
    if (hasEnded) return "ended";
    if (rows[0]?.waits) return "waits";
  }
}

/** What the statement answers. Fails, and ends it, where it waits for a lock of another. */
export async function withoutWaiting<T>(
  watcher: pg.Client | pg.Pool,
  client: pg.Client,
  statement: Promise<T>,
): Promise<T> {
  if ((await endsOrWaits(watcher, client, statement)) === "waits") {
    const { processID } = client as unknown as { processID: number };
    await watcher.query("select pg_cancel_backend($1)", [processID]);
    await statement.catch(() => {});
    throw new Error("it waits for another's transaction instead of going on without it");
  }
  return statement;
}
