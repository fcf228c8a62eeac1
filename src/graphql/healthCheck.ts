import type pg from "pg";

/** One trivial round trip to Postgres; probes that come while it runs share its answer. */
export function createHealthCheck(pool: pg.Pool): () => Promise<boolean> {
  let running: Promise<boolean> | undefined;
  return () => {
    running ??= pool
      .query("select 1")
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        running = undefined;
      });
    return running;
  };
}
