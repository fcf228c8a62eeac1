import type { ClientBase } from "pg";
import { beforeAll, describe, expect, test } from "vitest";
import { ago } from "../../helpers/ago.ts";
import { apiClient } from "../../helpers/apiClient.ts";
import { lookUp } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { one } from "../../helpers/one.ts";
import { tryOut } from "../../helpers/refusal.ts";
import { found, scan } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";

const db = testDatabase();

/** Everyone who may come in through the API's login. */
const READERS = {
  visitor: { role: "bookpost_visitor" },
  "member Ann": { role: "bookpost_member", is: "ann" },
  "member Ben": { role: "bookpost_member", is: "ben" },
  "member whom nobody has named": { role: "bookpost_member" },
  operator: { role: "bookpost_operator" },
  "the login itself": {},
} as const;
type Reader = keyof typeof READERS;
type Owner = "ann" | "ben";

/** Whose rows a reader sees of a table: refused is SQLSTATE 42501, nobody's is no row and no error. */
type Sees = "refused" | "nobody's" | "Ann's" | "Ben's" | "all";

const HER_OWN: Readonly<Record<Reader, Sees>> = {
  visitor: "refused",
  "member Ann": "Ann's",
  "member Ben": "Ben's",
  "member whom nobody has named": "nobody's",
  operator: "all",
  "the login itself": "refused",
};

const PUBLIC: Readonly<Record<Reader, Sees>> = {
  visitor: "all",
  "member Ann": "all",
  "member Ben": "all",
  "member whom nobody has named": "all",
  operator: "all",
  "the login itself": "refused",
};

/**
 * A line for every table and view of bookpost. `owner`: the SQL that tells of a
 * row `t` whose it is; null: nobody's in particular. `makeTwoOwners` must leave
 * each owner at least one row of each table that has owners; what it does not
 * make yet is made there.
 *
 * Nothing may be written: people write through functions. A table of which that
 * is no longer true says it in a line of its own, not here.
 */
const MATRIX: Readonly<
  Record<string, { readonly owner: string | null; readonly sees: Readonly<Record<Reader, Sees>> }>
> = {
  books: { owner: "t.owner_id", sees: HER_OWN },
  carrier_apis: { owner: null, sees: PUBLIC },
  carrier_circuits: { owner: null, sees: PUBLIC },
  carrier_limits: { owner: null, sees: PUBLIC },
  carriers: { owner: null, sees: PUBLIC },
  changes: { owner: "t.user_id", sees: HER_OWN },
  circuit_states: { owner: null, sees: PUBLIC },
  notification_kinds: { owner: null, sees: PUBLIC },
  notifications: { owner: "t.user_id", sees: HER_OWN },
  parcel_books: { owner: "t.owner_id", sees: HER_OWN },
  parcel_statuses: { owner: null, sees: PUBLIC },
  parcels: { owner: ownerOfParcel("t.id"), sees: HER_OWN },
  tracking_events: { owner: ownerOfParcel("t.parcel_id"), sees: HER_OWN },
  tracking_links: { owner: "t.owner_id", sees: HER_OWN },
  users: { owner: "t.id", sees: HER_OWN },
  webhook_endpoints: { owner: "t.user_id", sees: HER_OWN },
};

function ownerOfParcel(parcelId: string): string {
  return `(select min(pb.owner_id::text)::uuid from bookpost.parcel_books pb where pb.parcel_id = ${parcelId})`;
}

const owners: Record<Owner, string> = { ann: "", ben: "" };

/** Two owners, each with rows of her own in every table that has owners. */
async function makeTwoOwners(): Promise<void> {
  const { code } = await makeApi(db.pool, { call_windows: { "1 second": 1000 } });
  for (const name of ["ann", "ben"] as const) {
    const owner = await makeUser(db.pool);
    owners[name] = owner;
    const { bookId, parcelId } = await trackBook(db.pool, code, { owner });
    await lookUp(db.pool, parcelId, (id) => found(id, { events: [scan(ago(1), "in_transit")] }));
    await db.pool.query("select bookpost.add_webhook('https://example.org/hook', $1)", [owner]);
    await db.pool.query("select bookpost.share_parcel($1)", [bookId]);
  }
}

beforeAll(makeTwoOwners);

/** A row of the table, as its owner or anyone; null where there is none. */
async function rowOf(table: string, owner: Owner | null): Promise<unknown> {
  const whose = MATRIX[table]?.owner ?? null;
  const { rows } = await db.pool.query<{ row: unknown }>(
    `select to_jsonb(t) as row from bookpost.${table} t ${whose && owner ? `where ${whose} = '${owners[owner]}'` : ""} limit 1`,
  );
  return rows[0]?.row ?? null;
}

async function seen(client: ClientBase, table: string): Promise<Sees | string> {
  const whose = MATRIX[table]?.owner ?? null;
  const sql = `select distinct ${whose ?? "null::uuid"} as owner from bookpost.${table} t`;
  const refusal = await tryOut(client, sql);
  if (refusal) return refusal.code === "42501" ? "refused" : `an error ${refusal.code}`;
  const { rows } = await client.query<{ owner: string | null }>(sql);
  const found = rows.map(({ owner }) => owner);
  if (found.length === 0) return "nobody's";
  if (whose === null) return "all";
  if (found.every((owner) => owner === owners.ann)) return "Ann's";
  if (found.every((owner) => owner === owners.ben)) return "Ben's";
  return found.includes(owners.ann) && found.includes(owners.ben) ? "all" : "somebody's";
}

/** Without those that Postgres computes, which nobody may give, whatever her rights. */
async function givenColumns(table: string): Promise<string> {
  const { given } = await one<{ given: string }>(
    db.pool,
    `select string_agg(quote_ident(a.attname), ', ') as given from pg_attribute a
     where a.attrelid = ('bookpost.' || $1)::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''`,
    [table],
  );
  return given;
}

test("every table and view of bookpost has its line", async () => {
  const { rows } = await db.pool.query<{ name: string }>(
    `select c.relname as name from pg_class c
     where c.relnamespace = 'bookpost'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual(Object.keys(MATRIX));
});

describe.each(Object.keys(MATRIX))("%s", (table) => {
  test("has rows to be seen: of both owners, where it has owners", async () => {
    for (const owner of ["ann", "ben"] as const)
      expect(await rowOf(table, owner), owner).not.toBeNull();
  });

  test.each(Object.keys(READERS) as Reader[])("%s sees what her line says", async (name) => {
    const reader = READERS[name];
    const client = await apiClient(db, {
      role: "role" in reader ? reader.role : undefined,
      userId: "is" in reader ? owners[reader.is] : undefined,
    });
    expect(await seen(client, table)).toBe(MATRIX[table]?.sees[name]);
  });

  test.each(Object.keys(READERS) as Reader[])(
    "%s cannot insert, update or delete a row, neither an owner's nor the other's",
    async (name) => {
      const reader = READERS[name];
      const client = await apiClient(db, {
        role: "role" in reader ? reader.role : undefined,
        userId: "is" in reader ? owners[reader.is] : undefined,
      });
      const whose = MATRIX[table]?.owner;
      const given = await givenColumns(table);
      for (const owner of ["ann", "ben"] as const) {
        const row = JSON.stringify(await rowOf(table, owner)).replaceAll("'", "''");
        // Only of columns, which need no right to read them.
        const where = whose?.startsWith("t.") ? `where ${whose} = '${owners[owner]}'` : "";
        const [column = ""] = Object.keys((await rowOf(table, owner)) as object);
        for (const sql of [
          `insert into bookpost.${table} (${given}) select ${given} from jsonb_populate_record(null::bookpost.${table}, '${row}')`,
          `update bookpost.${table} t set ${column} = default ${where}`,
          `delete from bookpost.${table} t ${where}`,
        ])
          expect(await tryOut(client, sql), sql).toMatchObject({ code: "42501" });
      }
    },
  );
});
