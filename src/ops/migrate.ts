import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Logger } from "@graphile/logger";
import { migrate as runCommitted } from "graphile-migrate";
import { runMigrations as migrateQueue, Logger as QueueLogger } from "graphile-worker";
import type pg from "pg";
import { createPool } from "../db/pool.ts";
import { BookpostError } from "../errors.ts";
import { pollUntil } from "./embedded/pollUntil.ts";
import { migrationState } from "./migrationState.ts";

const MIGRATIONS = join(import.meta.dirname, "../../migrations");

/** Not shared with the app: any fixed number, the same in every version of bookpost. */
const MIGRATION_LOCK = 7_022_665_705;

export interface MigrateOptions {
  /** The login that owns bookpost's schemas and the queue. */
  readonly databaseUrl: string;
  /** Someone who may create roles, on the same database; left out: `databaseUrl` itself. */
  readonly adminUrl?: string;
  readonly onProgress?: (sentence: string) => void;
}

/** What a migration did: the files it ran, none when all was up to date. */
export interface MigrateResult {
  readonly applied: readonly string[];
}

/**
 * Brings roles, queue and schema up to date: roles first (they belong to the
 * server), then graphile-worker's own schema (our functions name it), then ours.
 * Several at once are safe: one works, the others wait and find nothing to do.
 * @throws BookpostError naming what is missing and who can give it.
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const onProgress = options.onProgress ?? (() => {});
  const pool = createPool(options.databaseUrl, "migrate", { max: 1 });
  const client = await pool.connect();
  try {
    await client.query("set lock_timeout = 0; set statement_timeout = 0");
    // Waits for another migrator, however long it takes; graphile-migrate itself would fail at once.
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    await ensureRoles(options, client);
    const { pending, strange } = await migrationState(client);
    refuseStrange(strange);
    if (pending.length > 0) onProgress(`migrating the database: ${pending.length} files`);
    await migrateQueue({ connectionString: options.databaseUrl, logger: quietQueueLogger });
    await runCommittedMigrations(options.databaseUrl, client);
    return { applied: pending };
  } finally {
    client.release(true);
    await pool.end();
  }
}

/** Errors are thrown all the same; what else these two say is for their own command lines. */
const quietLogger = new Logger(() => () => {});
const quietQueueLogger = new QueueLogger(() => () => {});

/** Code must not run on a schema it does not know: it might write what that schema's rules no longer mean. */
function refuseStrange(strange: readonly string[]): void {
  if (strange.length > 0)
    throw new BookpostError(
      "UNKNOWN_SCHEMA",
      `The database was migrated by another version of bookpost: its ${strange[0]} is not ours. Run that version, or point DATABASE_URL at another database (the embedded one is the folder .postgres).`,
    );
}

/**
 * Runs graphile-migrate, and waits until its connections are gone: it keeps
 * them for a fifth of a second, and ends the whole process, without a word,
 * when Postgres stops under them.
 */
async function runCommittedMigrations(databaseUrl: string, client: pg.PoolClient): Promise<void> {
  const url = new URL(databaseUrl);
  const name = `bookpost migrate ${randomUUID().slice(0, 8)}`;
  url.searchParams.set("application_name", name);
  try {
    await runCommitted({
      connectionString: url.href,
      migrationsFolder: MIGRATIONS,
      logger: quietLogger,
    });
  } finally {
    await pollUntil(
      async () => {
        const { rows } = await client.query(
          "select from pg_stat_activity where application_name = $1",
          [name],
        );
        return rows.length === 0 ? true : undefined;
      },
      // Chosen: ten times what it takes.
      { patienceMs: 2_000, everyMs: 20 },
    );
  }
}

/** True when this login already is what it must be, so that nobody needs the right to create roles. */
const ROLES_ARE_READY = `
  select count(*) = 5
    and (select count(*) = 4 from pg_catalog.pg_roles r
      where r.rolname in ('bookpost_visitor', 'bookpost_member', 'bookpost_operator', 'bookpost_worker')
        and pg_has_role(session_user, r.oid, 'member')) as ready
  from pg_catalog.pg_roles r
  where r.rolname in ('bookpost_visitor', 'bookpost_member', 'bookpost_operator', 'bookpost_worker', 'bookpost_authenticator')`;

async function ensureRoles(options: MigrateOptions, client: pg.PoolClient): Promise<void> {
  const { rows: state } = await client.query<{ ready: boolean; login: string }>(
    `select s.ready, session_user as login from (${ROLES_ARE_READY}) s`,
  );
  const login = state[0]?.login ?? "";
  if (state[0]?.ready) return;
  const admin = createPool(options.adminUrl ?? options.databaseUrl, "migrate", { max: 1 });
  try {
    await admin.query(await readFile(join(MIGRATIONS, "roles.sql"), "utf8"));
    const name = `"${login.replaceAll('"', '""')}"`;
    await admin.query(
      `grant bookpost_visitor, bookpost_member, bookpost_operator, bookpost_worker to ${name}`,
    );
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "42501")
      throw new BookpostError(
        "ROLES_MISSING",
        `bookpost needs the roles of migrations/roles.sql, and "${login}" may not create them. Run that file as an administrator and grant bookpost_visitor, bookpost_member, bookpost_operator and bookpost_worker to "${login}", or run once: npx bookpost migrate --admin-url postgres://admin@host/database`,
        { cause: error },
      );
    throw error;
  } finally {
    await admin.end();
  }
}
