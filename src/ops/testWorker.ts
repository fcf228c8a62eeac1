import type pg from "pg";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { BookpostError } from "../errors.ts";
import { migrationState } from "./migrationState.ts";

/** The part of graphile-worker's options that our promises rest on. */
type QueueSettings = Pick<
  GraphileConfig.WorkerOptions,
  "schema" | "useNodeTime" | "completeJobBatchDelay" | "failJobBatchDelay"
>;

/**
 * Asks before the first job whether this worker can keep what we promise:
 * Postgres and its schema, the login's rights, the queue's settings. A login that
 * does not own the queue, for one, would find no jobs in it and see nothing wrong.
 * Leaves nothing behind.
 * @throws BookpostError with one sentence and the way out.
 */
export async function testWorker(client: pg.ClientBase, settings: QueueSettings): Promise<void> {
  testSettings(settings);
  try {
    await testServer(client);
    await testSchema(client);
    await testCanary(client);
  } catch (error) {
    throw mapDatabaseError(error);
  }
}

function testSettings(settings: QueueSettings): void {
  const refuse = (sentence: string) => {
    throw new BookpostError("BAD_SETTINGS", sentence);
  };
  if (settings.schema !== "graphile_worker")
    refuse(
      `The queue must be in the schema graphile_worker, where bookpost's functions look for it; not in "${settings.schema}". Leave --schema and GRAPHILE_WORKER_SCHEMA out.`,
    );
  if (settings.useNodeTime)
    refuse("useNodeTime must stay off: jobs go by the database's clock, which all workers share.");
  // Measured: with either delay above 0 an ordinary stop can leave finished jobs locked.
  for (const name of ["completeJobBatchDelay", "failJobBatchDelay"] as const)
    if (settings[name] !== 0)
      refuse(`${name} must be 0, not ${settings[name]}: finished jobs could stay locked.`);
}

async function testServer(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ version: string; number: number; isStandby: boolean }>(
    `select current_setting('server_version') as version,
       current_setting('server_version_num')::integer as number,
       pg_is_in_recovery() as "isStandby"`,
  );
  const server = rows[0];
  if (!server) throw new Error("Postgres did not say what it is");
  if (server.number < 150_000)
    throw new BookpostError(
      "OLD_POSTGRES",
      `bookpost needs Postgres 15 or later; this is ${server.version}. Upgrade it, or leave DATABASE_URL out for the embedded one.`,
    );
  if (server.isStandby)
    throw new BookpostError(
      "READ_ONLY",
      "This Postgres is a standby and takes no writes; point DATABASE_URL at the primary.",
    );
}

async function testSchema(client: pg.ClientBase): Promise<void> {
  const { pending, strange } = await migrationState(client);
  if (strange.length > 0)
    throw new BookpostError(
      "UNKNOWN_SCHEMA",
      `The database was migrated by another version of bookpost: its ${strange[0]} is not ours. Run that version, or point DATABASE_URL at another database.`,
    );
  if (pending.length > 0)
    throw new BookpostError(
      "NOT_MIGRATED",
      `The database lacks ${pending.length} of bookpost's migrations. Run: npx bookpost migrate`,
    );
}

/** A job of our own: what the queue would do with it, this login must be able to do. */
async function testCanary(client: pg.ClientBase): Promise<void> {
  await client.query("begin");
  const isSeen = await canReachItsOwnJob(client).finally(() => client.query("rollback"));
  if (isSeen) return;
  const { rows } = await client.query<{ login: string; owner: string }>(
    `select session_user as login, pg_get_userbyid(n.nspowner) as owner
     from pg_namespace n where n.nspname = 'graphile_worker'`,
  );
  throw new BookpostError(
    "NOT_ALLOWED",
    `The login "${rows[0]?.login}" cannot reach the queue's jobs, since it does not own them: row-level security hides them. Connect as "${rows[0]?.owner}".`,
  );
}

async function canReachItsOwnJob(client: pg.ClientBase): Promise<boolean> {
  try {
    await client.query(
      "select graphile_worker.add_job('bookpost_canary', run_at => now() + interval '1 day')",
    );
    // As the queue does it: by the table, with this login's own rights.
    const { rows } = await client.query(
      `update graphile_worker._private_jobs j set attempts = 0
       from graphile_worker._private_tasks t where t.id = j.task_id and t.identifier = 'bookpost_canary'
       returning j.id`,
    );
    return rows.length > 0;
  } catch (error) {
    // 42501: no right to, or a row that row-level security refuses.
    if ((error as { code?: string }).code === "42501") return false;
    throw error;
  }
}
