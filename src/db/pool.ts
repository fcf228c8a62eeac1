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
  return pool;
}
