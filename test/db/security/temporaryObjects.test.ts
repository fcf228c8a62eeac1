import { randomBytes } from "node:crypto";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { testDatabase } from "../../helpers/testDatabase.ts";

const db = testDatabase();

/**
 * A login that may call our functions and make temporary objects, as any login
 * may in a database where nobody has taken TEMPORARY from PUBLIC.
 */
async function mallory(): Promise<pg.Client> {
  const admin = new pg.Client(db.adminUrl);
  await admin.connect();
  const name = `mallory_${randomBytes(5).toString("hex")}`;
  await admin.query(`create role ${name} login password 'x' in role bookpost_worker`);
  await admin.query(
    `do $$ begin execute format('grant connect, temporary on database %I to ${name}', current_database()); end $$`,
  );
  const url = new URL(db.adminUrl);
  url.username = name;
  url.password = "x";
  const client = new pg.Client(url.href);
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await admin.query(`drop owned by ${name} cascade`);
    await admin.query(`drop role ${name}`);
    await admin.end();
  });
  return client;
}

const TYPES = ["uuid", "text", "timestamptz", "jsonb", "date", "int4", "bool", "int8", "json"];

test("temporary types and tables of a caller's are never used by functions that run with the owner's rights", async () => {
  const client = await mallory();
  await client.query("create temporary table loot (who text)");
  await client.query("grant all on loot to public");
  await client.query(`create function pg_temp.evil() returns boolean language plpgsql as $$
    begin
      insert into pg_temp.loot values (current_user::pg_catalog.text);
      return true;
    end $$`);
  await client.query("grant execute on function pg_temp.evil() to public");
  for (const type of TYPES) {
    await client.query(
      `create domain pg_temp.${type} as pg_catalog.${type} check (pg_temp.evil())`,
    );
    await client.query(`grant usage on domain pg_temp.${type} to public`);
  }
  for (const table of [
    "books",
    "parcels",
    "parcel_books",
    "users",
    "checks",
    "carriers",
    "jobs",
    "workers",
  ])
    await client.query(
      `create temporary table ${table} (id pg_catalog.uuid, code pg_catalog.text, closed_at pg_catalog.timestamptz)`,
    );
  await client.query("delete from loot");

  const { rows: books } = await client.query<{ id: string }>(
    "select id from bookpost.track_book('Emma', 'ups', '1Z999AA1')",
  );
  const [book] = books;
  expect(book).toBeDefined();
  await client.query("select bookpost.refresh_book($1)", [book?.id]);
  await client.query("select bookpost.stop_tracking($1)", [book?.id]);
  await client.query("select bookpost.refresh_book($1)", [book?.id]);
  await client.query(
    "select bookpost.parcels_last_looked_at(p), bookpost.parcels_next_look_at(p), bookpost.parcels_did_last_look_work(p) from bookpost.parcels p",
  );
  await client.query("delete from bookpost.books where id = $1", [book?.id]);

  const { rows: loot } = await client.query("select who, count(*) from loot group by 1");
  expect(loot).toEqual([]);
});

test("the trap works: a function without a search_path would have fallen into it", async () => {
  const client = await mallory();
  await client.query("create temporary table loot (who text)");
  await client.query(`create function pg_temp.evil() returns boolean language plpgsql as $$
    begin insert into pg_temp.loot values (current_user::pg_catalog.text); return true; end $$`);
  await client.query("create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.evil())");
  await client.query("do $$ declare v uuid := gen_random_uuid(); begin end $$");
  const { rows } = await client.query("select from loot");
  expect(rows).toHaveLength(1);
});
