import { randomBytes } from "node:crypto";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { openClient } from "../../helpers/openClient.ts";
import { refusalOf } from "../../helpers/refusal.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";

const db = testDatabase();

/** A login that nobody has granted anything; gone when the test ends. */
async function stranger(): Promise<{ name: string; url: string }> {
  const admin = new pg.Client(db.adminUrl);
  await admin.connect();
  const name = `stranger_${randomBytes(5).toString("hex")}`;
  const password = randomBytes(12).toString("hex");
  await admin.query(`create role ${name} login password '${password}'`);
  onTestFinished(async () => {
    await admin.query(`drop owned by ${name} cascade`);
    await admin.query(`drop role ${name}`);
    await admin.end();
  });
  const url = new URL(db.adminUrl);
  url.username = name;
  url.password = password;
  return { name, url: url.href };
}

test("a fresh login may not even connect", async () => {
  const { url } = await stranger();
  const client = new pg.Client(url);
  client.on("error", () => {});
  expect(await refusalOf(client.connect())).toMatchObject({ code: "42501" });
});

test("let in, it can read, call and make nothing", async () => {
  const { name, url } = await stranger();
  const admin = await openClient(db.adminUrl);
  await admin.query(
    `do $$ begin execute format('grant connect on database %I to ${name}', current_database()); end $$`,
  );
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await admin.query<{ sql: string }>(
      `select 'select * from ' || c.oid::regclass as sql from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ('bookpost', 'bookpost_private', 'bookpost_ops', 'graphile_worker', 'graphile_migrate') and c.relkind in ('r', 'p', 'v')
       union all
       select 'select ' || p.oid::regproc || '(' ||
         array_to_string(array(select 'null::' || t::regtype from unnest(p.proargtypes) t), ', ') || ')'
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace
       where n.nspname in ('bookpost', 'bookpost_private', 'bookpost_ops', 'graphile_worker') and p.prorettype <> 'trigger'::regtype`,
    );
    expect(rows.length).toBeGreaterThan(60);
    for (const sql of [
      ...rows.map((row) => row.sql),
      "create table public.loot (x text)",
      "create temporary table loot (x text)",
      "create schema loot",
      "set role bookpost_visitor",
      "set role bookpost_worker",
    ])
      expect(await refusalOf(client.query(sql)), sql).toMatchObject({ code: "42501" });
  } finally {
    await client.end();
  }
});
