import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject, onTestFinished } from "vitest";
import { databaseUrl } from "./databaseUrl.ts";
import { TEMPLATE } from "./globalSetup.ts";

/** A migrated database of this test file's own. */
export interface TestDatabase {
  /** Login `bookpost`: owner, worker. */
  readonly url: string;
  /** Login `bookpost_authenticator`: what the API may do. */
  readonly apiUrl: string;
  /** Superuser, same database. */
  readonly adminUrl: string;
  /** As the owner. */
  readonly pool: pg.Pool;
  drop(): Promise<void>;
}

async function asAdmin(sql: string): Promise<void> {
  const admin = new pg.Client(inject("adminUrl"));
  await admin.connect();
  try {
    await admin.query(sql);
  } finally {
    await admin.end();
  }
}

/** Clones the template. Call in `beforeAll`, `drop()` in `afterAll`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await asAdmin(`create database ${name} template ${TEMPLATE} owner bookpost`);
  await asAdmin(
    `revoke connect, temporary on database ${name} from public; grant connect on database ${name} to bookpost_authenticator`,
  );
  const url = databaseUrl(inject("ownerUrl"), name);
  const pool = new pg.Pool({ connectionString: url, max: 12, options: "-c timezone=UTC" });
  pool.on("error", () => {});
  return {
    url,
    apiUrl: databaseUrl(inject("apiUrl"), name),
    adminUrl: databaseUrl(inject("adminUrl"), name),
    pool,
    async drop() {
      await pool.end();
      await asAdmin(`drop database ${name} with (force)`);
    },
  };
}

/** A client in a transaction that is rolled back when the test ends; `role` as the API would set it. */
export async function rolledBack(
  db: TestDatabase,
  options: { role?: string; userId?: string } = {},
): Promise<pg.PoolClient> {
  const client = await db.pool.connect();
  onTestFinished(async () => {
    await client.query("rollback");
    client.release();
  });
  await client.query("begin");
  if (options.userId)
    await client.query("select set_config('bookpost.user_id', $1, true)", [options.userId]);
  if (options.role) await client.query(`set local role ${options.role}`);
  return client;
}
