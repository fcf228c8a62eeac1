import type pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { testWorker } from "../../src/ops/testWorker.ts";
import { rolledBack } from "../helpers/database.ts";
import { openClient } from "../helpers/openClient.ts";
import { tableDigests } from "../helpers/tableDigests.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { uniqueName } from "../helpers/uniqueName.ts";

const db = testDatabase();

const OURS = {
  schema: "graphile_worker",
  useNodeTime: false,
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

/** What is in the database, the queue's list of tasks included. */
async function contents(): Promise<unknown> {
  const { rows } = await db.pool.query(
    "select identifier from graphile_worker._private_tasks order by 1",
  );
  return { digests: await tableDigests(db.pool), tasks: rows };
}

test("where all is as it should be nothing is refused, and nothing is left behind", async () => {
  const client = await openClient(db.url);
  const before = await contents();
  await testWorker(client, OURS);
  expect(await contents()).toEqual(before);
  // Nor a transaction.
  const { rows } = await client.query("select now() = statement_timestamp() as is_alone");
  expect(rows).toEqual([{ is_alone: true }]);
});

test.each([
  [{ schema: "queue" }, /must be in the schema graphile_worker, .*; not in "queue"/],
  [{ useNodeTime: true }, /useNodeTime must stay off/],
  [{ completeJobBatchDelay: 10 }, /completeJobBatchDelay must be 0, not 10/],
  [{ failJobBatchDelay: 1 }, /failJobBatchDelay must be 0, not 1/],
  [{ failJobBatchDelay: undefined }, /failJobBatchDelay must be 0/],
])("settings are refused before the database is asked: %o", async (wrong, message) => {
  const neverAsked = { query: () => expect.unreachable() } as unknown as pg.ClientBase;
  await expect(testWorker(neverAsked, { ...OURS, ...wrong } as typeof OURS)).rejects.toMatchObject({
    code: "BAD_SETTINGS",
    message: expect.stringMatching(message),
  });
});

describe("a server that cannot be had here answers through a stand-in", () => {
  const server = (version: string, number: number, isStandby: boolean) =>
    ({
      query: async () => ({ rows: [{ version, number, isStandby }] }),
    }) as unknown as pg.ClientBase;

  test("Postgres 14 is refused", async () => {
    await expect(testWorker(server("14.19", 140_019, false), OURS)).rejects.toMatchObject({
      code: "OLD_POSTGRES",
      message: expect.stringMatching(/needs Postgres 15 or later; this is 14.19/),
    });
  });

  test("a standby is refused", async () => {
    await expect(testWorker(server("18.1", 180_001, true), OURS)).rejects.toMatchObject({
      code: "READ_ONLY",
      message: expect.stringMatching(/is a standby and takes no writes/),
    });
  });

  test.skip("a real standby is refused: needs a second server that follows the first", () => {});
});

test("a database that lacks migrations is refused, with the command that brings them", async () => {
  const client = await rolledBack(db);
  await client.query("delete from graphile_migrate.migrations where filename >= '000019'");
  await expect(testWorker(client, OURS)).rejects.toMatchObject({
    code: "NOT_MIGRATED",
    message: expect.stringMatching(/lacks \d+ of bookpost's migrations. Run: npx bookpost migrate/),
  });
});

test("a database that was never migrated is refused", async () => {
  const client = await openClient(db.adminUrl.replace(/\/[^/?]+(\?|$)/, "/postgres$1"));
  await expect(testWorker(client, OURS)).rejects.toMatchObject({ code: "NOT_MIGRATED" });
});

test.each([
  [
    "has a migration that this version does not know",
    "insert into graphile_migrate.migrations (hash, previous_hash, filename) select 'sha1:x', hash, '999999.sql' from graphile_migrate.migrations order by filename desc limit 1",
    "999999.sql",
  ],
  [
    "has a migration in another form",
    "update graphile_migrate.migrations set hash = 'sha1:x' where filename = '000026.sql'",
    "000026.sql",
  ],
])("a database that %s is refused, by its name", async (_, change, name) => {
  const client = await rolledBack(db);
  await client.query(change);
  await expect(testWorker(client, OURS)).rejects.toMatchObject({
    code: "UNKNOWN_SCHEMA",
    message: expect.stringContaining(name),
  });
});

test.each([
  ["may do everything with the queue's tables", ""],
  [
    "may do that and pass the rule that hides new rows",
    "create policy insert_only on %s for insert with check (true);",
  ],
])(
  "a login that %s and does not own them is refused, and told whose they are",
  async (_, policy) => {
    const login = uniqueName("login");
    const admin = await openClient(db.adminUrl);
    await admin.query(`
    create role ${login} login password 'test';
    do $$ begin execute format('grant connect on database %I to ${login}', current_database()); end $$;
    grant usage on schema graphile_worker, graphile_migrate to ${login};
    grant all on all tables in schema graphile_worker, graphile_migrate to ${login};
    grant all on all sequences in schema graphile_worker to ${login};
    grant all on all functions in schema graphile_worker to ${login}`);
    onTestFinished(async () => {
      await admin.query(`drop owned by ${login}; drop role ${login}`);
    });
    const tables = ["_private_tasks", "_private_jobs", "_private_job_queues"];
    for (const table of policy ? tables : [])
      await admin.query(policy.replace("%s", `graphile_worker.${table}`));
    const url = new URL(db.url);
    url.username = login;
    url.password = "test";
    const client = await openClient(url.href);
    const before = await contents();
    await expect(testWorker(client, OURS)).rejects.toMatchObject({
      code: "NOT_ALLOWED",
      message: `The login "${login}" cannot reach the queue's jobs, since it does not own them: row-level security hides them. Connect as "bookpost".`,
    });
    expect(await contents()).toEqual(before);
  },
);
