import { expect, test } from "vitest";
import { type ApiRole, apiClient } from "../../helpers/apiClient.ts";
import { tryOut } from "../../helpers/refusal.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";

const db = testDatabase();

const ROLES: readonly (ApiRole | "the login itself")[] = [
  "bookpost_visitor",
  "bookpost_member",
  "bookpost_operator",
  "the login itself",
];

/** Relations by schema, as the catalogue has them: a new one is tested without being named here. */
async function relations(schemas: string): Promise<string[]> {
  const { rows } = await db.pool.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in (${schemas}) and c.relkind in ('r', 'p', 'v', 'm', 'S') order by 1`,
  );
  return rows.map(({ name }) => name);
}

function clientAs(role: (typeof ROLES)[number]) {
  return apiClient(db, role === "the login itself" ? {} : { role });
}

test.each(ROLES)("%s cannot write to any table of ours", async (role) => {
  const client = await clientAs(role);
  const { rows: tables } = await db.pool.query<{ name: string; column: string }>(
    `select format('bookpost.%I', c.relname) as name, quote_ident(a.attname) as column
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
     where c.relnamespace = 'bookpost'::regnamespace and c.relkind in ('r', 'p')`,
  );
  expect(tables.length).toBeGreaterThan(8);
  for (const { name, column } of tables)
    for (const sql of [
      `insert into ${name} default values`,
      `delete from ${name}`,
      `truncate ${name}`,
      `update ${name} set ${column} = ${column}`,
      `select ${column} from ${name} for update`,
      `lock table ${name} in share mode`,
    ])
      expect(await tryOut(client, sql), sql).toMatchObject({ code: "42501" });
});

test.each(ROLES)("%s has no update privilege on any column, by the catalogue", async (role) => {
  const client = await clientAs(role);
  const { rows } = await client.query(
    `select table_schema, table_name, privilege_type from information_schema.column_privileges
     where privilege_type <> 'SELECT' and table_schema !~ '^(pg_|information_schema)'`,
  );
  expect(rows).toEqual([]);
});

test.each(ROLES)(
  "%s cannot read anything of the worker's, the operator's views or the queue",
  async (role) => {
    const client = await clientAs(role);
    const hidden = await relations(
      "'bookpost_private', 'bookpost_ops', 'graphile_worker', 'graphile_migrate'",
    );
    expect(hidden.length).toBeGreaterThan(20);
    for (const name of hidden)
      expect(await tryOut(client, `select * from ${name}`), name).toMatchObject({ code: "42501" });
  },
);

test.each(ROLES)("%s cannot call any function of the worker's or the queue's", async (role) => {
  const { rows: functions } = await db.pool.query<{ call: string }>(
    `select format('%I.%I(%s)', n.nspname, p.proname,
       array_to_string(array(
         select format('null::%I.%I', tn.nspname, ty.typname)
         from unnest(p.proargtypes) with ordinality a (id, place)
         join pg_type ty on ty.oid = a.id join pg_namespace tn on tn.oid = ty.typnamespace order by a.place
       ), ', ')) as call
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('bookpost_private', 'graphile_worker') and p.prorettype <> 'trigger'::regtype`,
  );
  expect(functions.length).toBeGreaterThan(20);
  const client = await clientAs(role);
  for (const { call } of functions)
    expect(await tryOut(client, `select * from ${call}`), call).toMatchObject({ code: "42501" });
});

test.each(ROLES)("%s cannot add users, nor add or change webhooks", async (role) => {
  // What members and operators may change, and for whom, writeRights.test.ts tells.
  const client = await clientAs(role);
  for (const sql of [
    "select bookpost.add_webhook('https://example.org')",
    "select bookpost.enable_webhook(gen_random_uuid())",
    "select bookpost.disable_webhook(gen_random_uuid())",
    "select bookpost.rotate_webhook_secret(gen_random_uuid())",
    "insert into bookpost.users (app_user_id) values ('mallory')",
  ])
    expect(await tryOut(client, sql), sql).toMatchObject({ code: "42501" });
});

test.each(["bookpost_visitor", "the login itself"] as const)("%s only reads", async (role) => {
  const client = await clientAs(role);
  for (const sql of [
    "select bookpost.track_book('Emma', 'ups', '1Z999')",
    "select bookpost.refresh_book(gen_random_uuid())",
    "select bookpost.stop_tracking(gen_random_uuid())",
  ])
    expect(await tryOut(client, sql), sql).toMatchObject({ code: "42501" });
});

test.each(ROLES)("%s cannot become the worker, the owner or a superuser", async (role) => {
  const client = await clientAs(role);
  for (const other of ["bookpost_worker", "bookpost", "postgres"])
    expect((await tryOut(client, `set role ${other}`))?.code, other).toMatch(/^(42501|22023)$/);
  expect((await tryOut(client, "set session authorization bookpost"))?.code).toBe("42501");
});

test.each(ROLES)(
  "%s cannot make anything: no table, no temporary one, no function, no schema",
  async (role) => {
    const client = await clientAs(role);
    for (const sql of [
      "create table public.loot (x text)",
      "create table bookpost.loot (x text)",
      "create temporary table loot (x text)",
      "create function public.loot() returns int language sql return 1",
      "create function bookpost.loot() returns int language sql return 1",
      "create schema loot",
      "create policy mine on bookpost.books using (true)",
      "alter table bookpost.books disable row level security",
    ])
      expect(await tryOut(client, sql), sql).toMatchObject({ code: "42501" });
  },
);

test("the login by itself, before it has become anyone, reads nothing at all", async () => {
  const client = await apiClient(db);
  for (const name of await relations("'bookpost'"))
    expect(await tryOut(client, `select * from ${name}`), name).toMatchObject({ code: "42501" });
});

test("row-level security cannot be switched off for a query: it fails instead", async () => {
  const client = await apiClient(db, { role: "bookpost_member" });
  await client.query("set local row_security = off");
  expect(await tryOut(client, "select * from bookpost.books")).toMatchObject({ code: "42501" });
});
