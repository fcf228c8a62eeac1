import type pg from "pg";

/**
 * Lets a pool hand out no connection before `opening` resolves: whoever asks by
 * promise waits. The queue's pool asks so for jobs; what it listens on, asked
 * for by callback, goes through.
 */
export function holdBack(pool: pg.Pool, opening: Promise<void>): void {
  const { connect } = pool;
  const connectNow = connect.bind(pool) as (callback?: unknown) => unknown;
  pool.connect = ((callback?: unknown) =>
    callback ? connectNow(callback) : opening.then(() => connectNow())) as typeof connect;
  opening.then(() => {
    pool.connect = connect;
  });
}
