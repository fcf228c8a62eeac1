import pg from "pg";

/** Who connects: shown in pg_stat_activity, and the reason for each separate pool. */
export type PoolPurpose = "worker" | "api" | "cli" | "migrate" | "heartbeat";

/** Connections per purpose. Chosen so that all of them together stay well under Postgres' default of 100. */
const POOL_SIZES: Record<PoolPurpose, number> = {
  worker: 10,
  api: 10,
  cli: 1,
  migrate: 2,
  heartbeat: 1,
};

/**
 * Session settings of every connection. A statement of ours takes milliseconds;
 * these end what hangs. Migrations may take longer.
 */
function sessionOptions(purpose: PoolPurpose): string {
  const statementTimeout = purpose === "migrate" || purpose === "cli" ? "60s" : "15s";
  const lockTimeout = purpose === "migrate" ? "30s" : "5s";
  return [
    `-c statement_timeout=${statementTimeout}`,
    `-c lock_timeout=${lockTimeout}`,
    "-c idle_in_transaction_session_timeout=15s",
    "-c timezone=UTC",
    // The API's statements are prepared and meet owners of 1 and of 20,000 books: one plan for all took
    // 280 ms where a fresh one takes 1 (300,000 parcels, rare status), and planning costs less than that noise.
    ...(purpose === "api" ? ["-c plan_cache_mode=force_custom_plan"] : []),
  ].join(" ");
}

/**
 * A pool with our discipline: named connections, a connect timeout, TCP
 * keep-alive, and an error listener, without which a lost idle connection would
 * end the process.
 */
export function createPool(
  connectionString: string,
  purpose: PoolPurpose,
  options: { max?: number; onError?: (error: Error) => void } = {},
): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max: options.max ?? POOL_SIZES[purpose],
    application_name: `bookpost ${purpose}`,
    // 3 s: a Postgres that has not answered by then is treated as away.
    connectionTimeoutMillis: 3_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    options: sessionOptions(purpose),
  });
  const onError = options.onError ?? (() => {});
  // The pool has thrown the client away already; the next one tells whether Postgres is there.
  pool.on("error", onError);
  // While a client is checked out its errors come here; the query that runs rejects as well.
  pool.on("connect", (client) => client.on("error", onError));
  endStaleClients(pool);
  return pool;
}

/** "cached plan must not change result type": a column that a prepared statement returns was altered. */
const STALE_PLAN = "0A000";

/**
 * A connection keeps its prepared statements, and one that an altered column
 * has made stale fails at every later use. So the client on which that was seen
 * is not put back, but ended.
 */
function endStaleClients(pool: pg.Pool): void {
  const stale = new WeakSet<pg.ClientBase>();
  pool.on("connect", (client) => {
    const query: (...args: unknown[]) => unknown = client.query.bind(client);
    client.query = ((...args: unknown[]) => {
      const result = query(...args);
      if (result instanceof Promise)
        result.catch((error) => {
          if (error?.code === STALE_PLAN) stale.add(client);
        });
      return result;
    }) as typeof client.query;
  });
  // The pool looks after this event whether the client is ending, and drops it.
  pool.on("release", (_error, client) => {
    if (stale.has(client)) (client as pg.Client).end().catch(() => {});
  });
}
