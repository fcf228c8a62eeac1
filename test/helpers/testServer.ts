import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { login } from "../../src/ops/embedded/login.ts";
import { startEmbeddedPostgres } from "../../src/ops/embeddedPostgres.ts";

/** The Postgres that all test files share, by login. */
export interface TestServer {
  readonly adminUrl: string;
  readonly ownerUrl: string;
  readonly apiUrl: string;
  stop(): Promise<void>;
}

/**
 * An embedded Postgres in a folder of its own; or, to test with another
 * version, the one that TEST_POSTGRES_URL names, with a superuser's login.
 */
export async function startTestServer(): Promise<TestServer> {
  const adminUrl = process.env.TEST_POSTGRES_URL;
  return adminUrl ? useServer(adminUrl) : startOwnServer();
}

async function startOwnServer(): Promise<TestServer> {
  const root = await mkdtemp(join(tmpdir(), "bookpost-test-"));
  const server = await startEmbeddedPostgres(join(root, ".postgres"), {
    // Tests of crashes start servers of their own, with fsync on.
    settings: { fsync: "off", max_connections: "200" },
  });
  // A function's statements are planned anew for each of the first five calls on a connection, and a test's connection
  // makes few more. A worker's lives long, with plans that are made once.
  await login(server.adminUrl, (admin) =>
    admin.query("alter role bookpost set plan_cache_mode = force_generic_plan"),
  );
  return {
    adminUrl: server.adminUrl,
    ownerUrl: server.url,
    apiUrl: server.apiUrl,
    async stop() {
      await server.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function useServer(adminUrl: string): Promise<TestServer> {
  await makeLogins(adminUrl, { bookpost: "test", bookpost_authenticator: "test" });
  const login = (name: string) => {
    const url = new URL(adminUrl);
    url.username = name;
    url.password = "test";
    url.pathname = "/bookpost";
    return url.href;
  };
  return {
    adminUrl,
    ownerUrl: login("bookpost"),
    apiUrl: login("bookpost_authenticator"),
    async stop() {},
  };
}

/** Makes bookpost's logins on a Postgres of any version, whose grants may know no `with inherit`; there already, they get these passwords. */
export async function makeLogins(
  adminUrl: string,
  passwords: Readonly<Record<"bookpost" | "bookpost_authenticator", string>>,
): Promise<void> {
  const admin = new pg.Client(adminUrl);
  await admin.connect();
  await admin.query(
    await readFile(join(import.meta.dirname, "../../migrations/roles.sql"), "utf8"),
  );
  await admin.query(`
    do $$ begin create role bookpost; exception when duplicate_object then null; end $$;
    alter role bookpost login password '${passwords.bookpost}';
    alter role bookpost_authenticator login password '${passwords.bookpost_authenticator}';
    grant bookpost_worker to bookpost;
  `);
  await admin.end();
}
