import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import type pg from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { migrate } from "../../src/ops/migrate.ts";
import { migrationState } from "../../src/ops/migrationState.ts";
import { databaseUrl } from "../helpers/databaseUrl.ts";
import { openClient } from "../helpers/openClient.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { until } from "../helpers/until.ts";

const BIN = join(import.meta.dirname, "../../src/bin/bookpost.js");

/** A database with nothing in it, dropped after the test; `client` is its superuser. */
async function emptyDatabase(): Promise<{ url: string; client: pg.Client }> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  const admin = await openClient(inject("adminUrl"));
  await admin.query(`create database ${name} owner bookpost`);
  onTestFinished(async () => {
    await admin.query(`drop database ${name} with (force)`);
  });
  return {
    url: databaseUrl(inject("ownerUrl"), name),
    client: await openClient(databaseUrl(inject("adminUrl"), name)),
  };
}

test("of three that migrate one empty database at once one does it all, and the others wait and find nothing to do", async () => {
  const { url, client } = await emptyDatabase();
  const results = await Promise.all([1, 2, 3].map(() => migrate({ databaseUrl: url })));
  const { applied, pending } = await migrationState(client);
  expect(pending).toEqual([]);
  expect(results.map((result) => result.applied).toSorted((a, b) => a.length - b.length)).toEqual([
    [],
    [],
    applied,
  ]);
});

test("one that is killed in the midst of a file leaves nothing of it, and the next one does it all", async () => {
  const { url, client } = await emptyDatabase();
  // Somebody else's transaction stops the migrator where it makes the same schema.
  const other = await openClient(databaseUrl(inject("adminUrl"), new URL(url).pathname.slice(1)));
  await other.query("begin");
  await other.query("create schema bookpost_private");
  const migrator = spawn(process.execPath, [BIN, "migrate"], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    stdio: "ignore",
  });
  const exited = once(migrator, "exit");
  await until("the migrator waits in the midst of a file", async () => {
    const { rows } = await client.query(
      `select from pg_stat_activity
       where datname = current_database() and application_name like 'bookpost migrate%'
         and wait_event_type = 'Lock' and query like '%create schema bookpost_private%'`,
    );
    return rows.length > 0;
  });
  migrator.kill("SIGKILL");
  await exited;
  await other.query("rollback");

  // It waits for what Postgres still does for the dead one.
  const { applied } = await migrate({ databaseUrl: url });
  const { pending, strange } = await migrationState(client);
  expect({ pending, strange }).toEqual({ pending: [], strange: [] });
  expect(applied[0]).toBe("000001.sql");
  expect(await trackBook(client, "ups")).toMatchObject({ parcelId: expect.any(String) });
});

test("a database that another version has migrated is refused, by the name of the file", async () => {
  const { url, client } = await emptyDatabase();
  await migrate({ databaseUrl: url });
  await client.query(
    "insert into graphile_migrate.migrations (hash, filename) values ('sha1:f00', '009999.sql')",
  );
  await expect(migrate({ databaseUrl: url })).rejects.toMatchObject({
    code: "UNKNOWN_SCHEMA",
    message: expect.stringContaining("009999.sql"),
  });
});
