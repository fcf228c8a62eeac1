import { expect, onTestFinished, test } from "vitest";
import { type Ending, startProc } from "../../harness/procs.ts";
import { createTestDatabase } from "../../helpers/database.ts";
import { databaseUrl } from "../../helpers/databaseUrl.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { WORKER_COMMANDS } from "../../helpers/workerProcess.ts";

// A worker that cannot work says why, in a sentence, and ends: what a supervisor shows of it is the reason.

const db = testDatabase();

/** A login that may do everything in the queue, and does not own it: it sees no row there. */
async function strangerUrl(): Promise<string> {
  const other = await createTestDatabase();
  onTestFinished(() => other.drop());
  for (const schema of ["graphile_worker", "bookpost", "bookpost_private", "graphile_migrate"])
    await other.pool.query(`
      grant usage, create on schema ${schema} to bookpost_authenticator;
      grant all on all tables in schema ${schema} to bookpost_authenticator;
      grant all on all sequences in schema ${schema} to bookpost_authenticator;
      grant execute on all functions in schema ${schema} to bookpost_authenticator;
    `);
  return other.apiUrl;
}

async function emptyUrl(): Promise<string> {
  const other = await createTestDatabase();
  onTestFinished(() => other.drop());
  await other.pool.query(
    "drop schema bookpost, bookpost_private, bookpost_ops, graphile_migrate, graphile_worker cascade",
  );
  return other.url;
}

const withPassword = (url: string, password: string) => {
  const changed = new URL(url);
  changed.password = password;
  return changed.href;
};

async function run(
  command: keyof typeof WORKER_COMMANDS,
  environment: Record<string, string>,
): Promise<Ending> {
  const proc = await startProc(WORKER_COMMANDS[command], {
    environment: { NODE_ENV: "test", GRAPHILE_ENV: "test", ...environment },
  });
  return proc.ended;
}

/** What is wrong, and the sentence; `code` where it is not 1; `only` where just one command minds. */
const CASES = [
  {
    what: "a database that is not there",
    environment: () => ({ DATABASE_URL: databaseUrl(db.url, "nowhere") }),
    says: /^(ERROR: )?Postgres refused the connection: database "nowhere" does not exist. Check DATABASE_URL.$/,
  },
  {
    what: "a wrong password",
    environment: () => ({ DATABASE_URL: withPassword(db.url, "wrong") }),
    says: /^(ERROR: )?Postgres refused the connection: password authentication failed for user "bookpost". Check DATABASE_URL.$/,
  },
  {
    what: "a Postgres that is not there",
    environment: () => ({ DATABASE_URL: "postgres://nobody:nothing@127.0.0.1:1/nowhere" }),
    says: /^(ERROR: )?Postgres does not answer. Check DATABASE_URL, .*$/,
  },
  {
    what: "a setting that makes no sense",
    environment: () => ({ DATABASE_URL: db.url, BOOKPOST_CONCURRENCY: "many" }),
    says: /^BOOKPOST_CONCURRENCY must be .*; "many" is not\..*$/,
  },
  {
    what: "a database without our schema",
    environment: async () => ({ DATABASE_URL: await emptyUrl() }),
    says: /^ERROR: .*Run: npx bookpost migrate$/,
    // Ours migrates it.
    only: "stock",
  },
  {
    what: "a login that does not own the queue",
    environment: async () => ({ DATABASE_URL: await strangerUrl() }),
    says: /^ERROR: The login "bookpost_authenticator" cannot reach the queue's jobs, .*Connect as "bookpost"\.$/,
    only: "stock",
  },
] as const;

const RUNS = (["stock", "start"] as const).flatMap((command) =>
  CASES.filter((c) => !("only" in c) || c.only === command).map((c) => ({ command, ...c })),
);

test.each(RUNS)(
  "$command: $what is told in one sentence, and ends it",
  async ({ command, what, environment, says }) => {
    const { code, output } = await run(command, await environment());
    expect(output.trimEnd()).toMatch(says);
    // The stock command knows no other code for what it could not begin.
    const isUsage = command === "start" && what === "a setting that makes no sense";
    expect(code).toBe(isUsage ? 2 : 1);
  },
);
