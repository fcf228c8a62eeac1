import pg from "pg";
import { isPassingTrouble } from "./passingTrouble.ts";
import { persist } from "./persist.ts";

/** Who connects: shown in pg_stat_activity, and the reason for each separate pool. */
export type PoolPurpose =
  | "queue"
  | "worker"
  | "housekeeping"
  | "heartbeat"
  | "api"
  | "health"
  | "changes"
  | "cli"
  | "migrate";

interface Discipline {
  /**
   * Connections at most, opened only as needed. A worker's four pools come to 14, whatever its concurrency: six workers, an
   * API and a person at psql fit into Postgres's default of 100.
   */
  readonly max: number;
  /** A statement that takes longer is broken off by the server. */
  readonly statementSeconds: number;
  /** One that waits longer for a lock fails. */
  readonly lockSeconds: number;
}

/**
 * What each purpose is allowed. A statement of ours takes milliseconds; these
 * end what hangs. Dispatch and partitions may take longer, migrations as long
 * as they like.
 */
const DISCIPLINE: Readonly<Record<PoolPurpose, Discipline>> = {
  // graphile-worker's own: one listens, one fetches jobs for all slots, one for cron; the others write the ends of jobs.
  queue: { max: 7, statementSeconds: 5, lockSeconds: 2 },
  // Acquire, record and snooze take one each, for batches of jobs; permits given back share the last.
  worker: { max: 4, statementSeconds: 5, lockSeconds: 2 },
  // Sweep, dispatch and partitions. Of a link that has fallen silent nobody learns sooner, and it is to heal within 30 s.
  housekeeping: { max: 2, statementSeconds: 20, lockSeconds: 5 },
  // Its own, so that a busy pool never makes a living worker look dead.
  heartbeat: { max: 1, statementSeconds: 2, lockSeconds: 1 },
  // One that listens; it looks for changes every few seconds, so a link that has fallen silent is found as soon as that is not answered.
  changes: { max: 1, statementSeconds: 5, lockSeconds: 1 },
  api: { max: 10, statementSeconds: 15, lockSeconds: 5 },
  health: { max: 1, statementSeconds: 2, lockSeconds: 1 },
  cli: { max: 1, statementSeconds: 60, lockSeconds: 5 },
  migrate: { max: 2, statementSeconds: 60, lockSeconds: 30 },
};

/** How much longer than the server we wait for its answer: then the link is dead, not the statement slow. Chosen. */
const ANSWER_SECONDS = 1;

const nameOf = (purpose: PoolPurpose) => `bookpost ${purpose}`;

function sessionOptions(purpose: PoolPurpose): string {
  const { statementSeconds, lockSeconds } = DISCIPLINE[purpose];
  return [
    `-c statement_timeout=${statementSeconds}s`,
    `-c lock_timeout=${lockSeconds}s`,
    "-c idle_in_transaction_session_timeout=15s",
    "-c timezone=UTC",
    // The API's statements are prepared and meet owners of 1 and of 20,000 books: one plan for all took
    // 280 ms where a fresh one takes 1 (300,000 parcels, rare status), and planning costs less than that noise.
    // Nor does compiling a statement of milliseconds ever pay.
    ...(purpose === "api" ? ["-c plan_cache_mode=force_custom_plan", "-c jit=off"] : []),
  ].join(" ");
}

/**
 * A pool with our discipline: named connections, TCP keep-alive, time limits on
 * connecting, on statements and on their answers, and an error listener, without
 * which a lost idle connection would end the process. A connection that has not
 * answered in time is destroyed: put back, it would fail again.
 */
export function createPool(
  connectionString: string,
  purpose: PoolPurpose,
  options: {
    max?: number;
    onError?: (error: Error) => void;
    /** Idle connections do not keep the process alive. */
    allowExitOnIdle?: boolean;
  } = {},
): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max: options.max ?? DISCIPLINE[purpose].max,
    application_name: nameOf(purpose),
    // 3 s: a Postgres that has not answered by then is treated as away.
    connectionTimeoutMillis: 3_000,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: options.allowExitOnIdle ?? false,
    keepAlive: true,
    // The API sends a read's begin, statement and commit in one go (src/graphql/pipelinedReads.ts).
    pipeline: purpose === "api",
    // A migration may take as long as it likes.
    ...(purpose === "migrate"
      ? {}
      : { query_timeout: (DISCIPLINE[purpose].statementSeconds + ANSWER_SECONDS) * 1_000 }),
    options: sessionOptions(purpose),
  });
  const onError = options.onError ?? (() => {});
  // The pool has thrown the client away already; the next one tells whether Postgres is there.
  pool.on("error", onError);
  // While a client is checked out its errors come here; the query that runs rejects as well.
  pool.on("connect", (client) => client.on("error", onError));
  endDoubtfulClients(pool, { isWriter: WRITERS.has(purpose) });
  if (purpose === "queue") persistWhatIsDoneOnce(pool);
  return pool;
}

/** Whether the queue's pool was made here, with our discipline. */
export function isQueuePool(pool: pg.Pool): boolean {
  return pool.options.application_name === nameOf("queue");
}

/**
 * graphile-worker's names for the statements that end a job or give it back, and the texts of those that read its tasks'
 * numbers. Done twice, they do nothing the second time.
 */
const DONE_ONCE = /^(complete|fail|return)_job|_private_tasks as tasks/;

/**
 * graphile-worker does two things only once. The end of a job: where the
 * connection is lost that moment, or none is to be had, it stops the whole pool.
 * And the reading of its tasks' numbers, at the first fetch: it keeps the error,
 * and every later fetch fails with it (seen: a worker that lived and took no
 * job). So where these fail in a way that passes they are done again, on another
 * connection.
 */
function persistWhatIsDoneOnce(pool: pg.Pool): void {
  pool.on("connect", (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const result = query(...args);
      const { name, text } = args[0] as { name?: string; text?: string };
      if (!(result instanceof Promise && DONE_ONCE.test(name ?? text ?? ""))) return result;
      return result.catch((error) => {
        if (!isPassingTrouble(error)) throw error;
        return persist(() => pool.query(args[0] as pg.QueryConfig));
      });
    }) as typeof client.query;
  });
  const connect = pool.connect.bind(pool) as (callback?: unknown) => unknown;
  pool.connect = ((callback?: unknown) =>
    callback
      ? connect(callback)
      : persist(() => connect() as Promise<unknown>)) as typeof pool.connect;
}

/** They only write, so that one refused write tells what kind of server all their connections lead to. */
const WRITERS: ReadonlySet<PoolPurpose> = new Set(["queue", "worker", "housekeeping", "heartbeat"]);

/** "cannot execute … in a read-only transaction": the primary has become a standby. Another one is where the address leads. */
const READ_ONLY = "25006";

/** "cached plan must not change result type": a column that a prepared statement returns was altered. */
const STALE_PLAN = "0A000";

/** node-postgres's words for an answer that did not come within query_timeout; it has no code for it. */
const NO_ANSWER = "Query read timeout";

/** What an error says of the connection it was seen on; null: nothing against it. */
function doubtOf(error: unknown): "stale" | "read-only" | "dead" | null {
  const { code, message } = error as { code?: string; message?: string };
  if (code === STALE_PLAN) return "stale";
  if (code === READ_ONLY) return "read-only";
  return message === NO_ANSWER ? "dead" : null;
}

/**
 * A connection keeps its prepared statements, and one that an altered column
 * has made stale fails at every later use; and one that has not answered in
 * time may never answer again. So the client on which either was seen is not
 * put back. Of a pool that writes, all go when a server refuses to be written
 * to, also the one that only listens and would never find out.
 */
function endDoubtfulClients(pool: pg.Pool, { isWriter }: { readonly isWriter: boolean }): void {
  const doubtful = new WeakSet<pg.ClientBase>();
  const clients = new Set<pg.ClientBase>();
  pool.on("remove", (client) => clients.delete(client));
  pool.on("connect", (client) => {
    clients.add(client);
    const query: (...args: unknown[]) => unknown = client.query.bind(client);
    const note = (error: unknown) => {
      const doubt = error ? doubtOf(error) : null;
      if (doubt) doubtful.add(client);
      // Nothing that is asked of it now would be answered; a good-bye would not arrive either.
      if (doubt === "dead") socketOf(client).destroy();
      if (doubt === "read-only" && isWriter) for (const each of clients) socketOf(each).destroy();
    };
    client.query = ((...args: unknown[]) => {
      const callback = args.at(-1);
      if (typeof callback === "function")
        args[args.length - 1] = (error: unknown, ...rest: unknown[]) => {
          note(error);
          callback(error, ...rest);
        };
      const result = query(...args);
      if (result instanceof Promise) result.catch(note);
      return result;
    }) as typeof client.query;
  });
  // The pool looks after this event whether the client is ending, and drops it.
  pool.on("release", (_error, client) => {
    if (doubtful.has(client)) (client as pg.Client).end().catch(() => {});
  });
}

function socketOf(client: pg.ClientBase): { destroy(): void } {
  return (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream;
}
