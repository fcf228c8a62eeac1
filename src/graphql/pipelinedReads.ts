import type pg from "pg";
import { escapeIdentifier, escapeLiteral, type PoolClient, type QueryArrayResult } from "pg";
import type { PgClientQuery, PgClientResult, WithPgClient } from "postgraphile/@dataplan/pg";
import type { NodePostgresPgClient } from "postgraphile/@dataplan/pg/adaptors/pg";
import { STATEMENTS_KEPT } from "./limits.ts";

type Settings = Readonly<Record<string, string | undefined>>;

/** What node-postgres keeps of a connection's prepared statements, by name. It has no public way to forget one. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  readonly parsedStatements: Record<string, string>;
  readonly submittedNamedStatements: Record<string, string>;
}

function wireOf(client: PoolClient): Wire {
  return (client as unknown as { connection: Wire }).connection;
}

/** The role, the user and all else that holds for one transaction only, in the message that begins it. */
function opening(settings: Settings): string {
  const set = Object.entries(settings).flatMap(([name, value]) =>
    value == null
      ? []
      : [`pg_catalog.set_config(${escapeLiteral(name)}, ${escapeLiteral(value)}, true)`],
  );
  return `begin read only; select ${set.join(", ")}`;
}

/** Connection → the names of its prepared statements; the one that was used longest ago is first. */
const prepared = new WeakMap<PoolClient, Set<string>>();

/** Notes that a statement is used; the name of one that is one too many, or undefined. */
function noteStatement(client: PoolClient, name: string): string | undefined {
  const names = prepared.get(client) ?? new Set();
  prepared.set(client, names);
  names.delete(name);
  names.add(name);
  const [oldest] = names;
  if (names.size <= STATEMENTS_KEPT || oldest === undefined) return undefined;
  names.delete(oldest);
  return oldest;
}

async function forgetStatement(client: PoolClient, name: string): Promise<void> {
  await client.query(`deallocate ${escapeIdentifier(name)}`);
  delete wireOf(client).parsedStatements[name];
  delete wireOf(client).submittedNamedStatements[name];
}

/**
 * One read in a transaction of its own, sent in one go: begin with the settings,
 * the statement, commit. Nothing waits for the answer before it. Where the
 * settings fail, the transaction has failed and Postgres refuses the statement;
 * where the statement fails, the commit rolls back. So nothing is ever run
 * without its role, and no setting outlives its transaction. The connection goes
 * back when all three are answered.
 */
async function readAlone(
  pool: pg.Pool,
  settings: Settings,
  { text, values, arrayMode, name }: PgClientQuery & { name: string },
): Promise<PgClientResult<never>> {
  const client = await pool.connect();
  const superfluous = noteStatement(client, name);
  const { stream } = wireOf(client);
  stream.cork();
  const began = client.query(opening(settings));
  const answered: Promise<QueryArrayResult> = client.query({
    text,
    values: values ?? [],
    name,
    rowMode: arrayMode ? "array" : undefined,
  } as pg.QueryArrayConfig);
  const committed = client.query("commit");
  stream.uncork();
  const all = Promise.allSettled([began, answered, committed]).then(async ([, , end]) => {
    try {
      if (end.status === "rejected") throw end.reason;
      if (superfluous !== undefined) await forgetStatement(client, superfluous);
      client.release();
    } catch (error) {
      client.release(error as Error);
    }
  });
  try {
    await began;
    const { rows, rowCount } = await answered;
    return { rows: rows as never[], rowCount, notices: [] };
  } catch (error) {
    await all;
    throw error;
  }
}

/**
 * PostGraphile's way to the database with fewer round trips: what it prepares
 * (it names reads, and only reads) goes by `readAlone`; everything else, and all
 * that wants a transaction, goes through `standard` as before.
 *
 * The pool must pipeline; each connection is one request's at a time all the same.
 */
export function pipelineReads(
  pool: pg.Pool,
  standard: WithPgClient<NodePostgresPgClient>,
): WithPgClient<NodePostgresPgClient> {
  const withPgClient = async <T>(
    settings: Settings | null,
    callback: (client: NodePostgresPgClient) => T | Promise<T>,
  ): Promise<T> => {
    const asIs = settings as Record<string, string> | null;
    if (settings === null || Object.keys(settings).length === 0) return standard(asIs, callback);
    const end = Promise.withResolvers<void>();
    let opened: Promise<NodePostgresPgClient> | undefined;
    let closed: Promise<void> | undefined;
    const open = () => {
      opened ??= new Promise((resolve, reject) => {
        closed = standard(asIs, (client) => {
          resolve(client);
          return end.promise;
        });
        closed.catch(reject);
      });
      return opened;
    };
    const lazy = {
      query: (query: PgClientQuery) =>
        query.name !== undefined && opened === undefined
          ? readAlone(pool, settings, { ...query, name: query.name })
          : open().then((client) => client.query(query)),
      withTransaction: <R>(work: (client: NodePostgresPgClient) => Promise<R>) =>
        open().then((client) => client.withTransaction(work)),
    } as NodePostgresPgClient;
    try {
      const result = await callback(lazy);
      end.resolve();
      await closed;
      return result;
    } catch (error) {
      end.reject(error);
      // Nobody else waits for it where no transaction was opened.
      end.promise.catch(() => {});
      await closed?.catch(() => {});
      throw error;
    }
  };
  return Object.assign(withPgClient as WithPgClient<NodePostgresPgClient>, {
    release: standard.release,
  });
}
