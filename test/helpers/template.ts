import { randomBytes } from "node:crypto";
import pg from "pg";
import { migrate } from "../../src/ops/migrate.ts";
import { databaseUrl } from "./databaseUrl.ts";

const TEMPLATE = "bookpost_template";

/** A Postgres with bookpost's logins, by login; the database in each address does not matter. */
export interface Logins {
  readonly adminUrl: string;
  readonly ownerUrl: string;
  readonly apiUrl: string;
}

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

/** Runs each statement by itself: Postgres makes and drops no database inside a transaction. */
async function asAdmin({ adminUrl }: Logins, ...statements: string[]): Promise<void> {
  const admin = new pg.Client(adminUrl);
  // A server that is killed under us rejects the query too.
  admin.on("error", () => {});
  await admin.connect();
  try {
    for (const sql of statements) await admin.query(sql);
  } finally {
    await admin.end();
  }
}

const closeToPublic = (name: string) => [
  `revoke connect, temporary on database ${name} from public`,
  `grant connect on database ${name} to bookpost_authenticator`,
];

/** Migrates the template that `cloneTemplate` clones, anew if there is one. */
export async function prepareTemplate(server: Logins): Promise<void> {
  await asAdmin(
    server,
    `drop database if exists ${TEMPLATE} with (force)`,
    `create database ${TEMPLATE} owner bookpost`,
    ...closeToPublic(TEMPLATE),
  );
  await migrate({ databaseUrl: databaseUrl(server.ownerUrl, TEMPLATE), adminUrl: server.adminUrl });
}

/** Clones the template into a database of its own. */
export async function cloneTemplate(server: Logins): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await asAdmin(
    server,
    `create database ${name} template ${TEMPLATE} strategy file_copy owner bookpost`,
    ...closeToPublic(name),
  );
  const url = databaseUrl(server.ownerUrl, name);
  const pool = new pg.Pool({ connectionString: url, max: 12, options: "-c timezone=UTC" });
  pool.on("error", () => {});
  // One that is checked out tells its errors itself.
  pool.on("connect", (client) => client.on("error", () => {}));
  return {
    url,
    apiUrl: databaseUrl(server.apiUrl, name),
    adminUrl: databaseUrl(server.adminUrl, name),
    pool,
    async drop() {
      await pool.end();
      await asAdmin(server, `drop database ${name} with (force)`);
    },
  };
}
