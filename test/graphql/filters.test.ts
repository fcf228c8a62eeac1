import {
  buildSchema,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
} from "postgraphile/graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { printApiSchema } from "../../src/graphql/printApiSchema.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type SeededBook, seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
let token: string;
let first: SeededBook;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  const owner = await seedUser(db.pool, "Ada");
  token = await signToken("bookpost_operator");
  first = await seedBook(db.pool, {
    owner,
    title: "Ulysses",
    number: "1Z999AA10123456784",
    events: 3,
  });
  const second = await seedBook(db.pool, { owner, title: "Emma", number: "1Z999AA10123456799" });
  await db.pool.query("update bookpost.parcels set status = 'in_transit' where id = $1", [
    first.parcelId,
  ]);
  await db.pool.query(
    "update bookpost.parcels set closed_at = now(), closed_reason = 'stopped' where id = $1",
    [second.parcelId],
  );
  await db.pool.query("update bookpost.books set created_at = '2025-01-01' where title = 'Emma'");
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

async function numbers(filter: string, variables?: Record<string, unknown>): Promise<string[]> {
  const head = variables ? "query ($v: ParcelFilter!)" : "";
  const { body } = await api.query(
    `${head} { parcels(filter: ${filter}) { nodes { trackingNumber } } }`,
    { token, variables },
  );
  expect(body.errors).toBeUndefined();
  return body.data.parcels.nodes.map((n: { trackingNumber: string }) => n.trackingNumber).sort();
}

describe("a filter", () => {
  it("finds parcels by number, status and whether they are live", async () => {
    expect(await numbers('{ trackingNumber: { equalTo: "1Z999AA10123456784" } }')).toEqual([
      "1Z999AA10123456784",
    ]);
    expect(await numbers("{ status: { equalTo: IN_TRANSIT } }")).toEqual(["1Z999AA10123456784"]);
    expect(await numbers("{ status: { in: [PENDING, DELIVERED] } }")).toEqual([
      "1Z999AA10123456799",
    ]);
    expect(await numbers("{ closedAt: { isNull: true } }")).toEqual(["1Z999AA10123456784"]);
    expect(await numbers("{ closedAt: { isNull: true }, status: { equalTo: PENDING } }")).toEqual(
      [],
    );
  });

  it("may come as a variable", async () => {
    expect(await numbers("$v", { v: { status: { equalTo: "IN_TRANSIT" } } })).toEqual([
      "1Z999AA10123456784",
    ]);
  });

  it("compares times", async () => {
    const { body } = await api.query(
      `{ old: books(filter: { createdAt: { lessThan: "2025-06-01T00:00:00Z" } }) { nodes { title } }
         new: books(filter: { createdAt: { greaterThanOrEqualTo: "2025-06-01T00:00:00Z" } }) { nodes { title } } }`,
      { token },
    );
    expect(body.data).toEqual({
      old: { nodes: [{ title: "Emma" }] },
      new: { nodes: [{ title: "Ulysses" }] },
    });
  });

  it("narrows a parcel's scans", async () => {
    const { body } = await api.query(
      `query ($id: UUID!) { trackingEvents(filter: { parcelId: { equalTo: $id }, sortAt: { greaterThan: "2025-08-01T01:30:00Z" } }) { totalCount } }`,
      { token, variables: { id: first.parcelId } },
    );
    expect(body.data).toEqual({ trackingEvents: { totalCount: 2 } });
  });

  it.each([
    ["null for a value", "{ trackingNumber: { equalTo: null } }"],
    ["nothing", "{}"],
    ["nothing of a column", "{ trackingNumber: {} }"],
  ])("cannot be %s, which would find everything", async (_what, filter) => {
    const { body } = await api.query(`{ parcels(filter: ${filter}) { nodes { id } } }`, { token });
    expect(body.errors[0].extensions.code).toBe("BAD_INPUT");
    expect(body.data).toEqual({ parcels: null });
  });

  it("cannot look into a column that is not opened", async () => {
    const { status } = await api.query(
      '{ parcels(filter: { signedBy: { equalTo: "Ben" } }) { nodes { id } } }',
      { token },
    );
    expect(status).toBe(400);
  });
});

/** GraphQL's createdAt → the column created_at. */
function columnOf(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** GraphQL's names of the tables that grow. */
const TABLES = {
  Book: "books",
  Parcel: "parcels",
  TrackingEvent: "tracking_events",
  Notification: "notifications",
};

type Opened = { readonly table: string; readonly column: string };

function orderedColumns(schema: GraphQLSchema): Opened[] {
  return Object.entries(TABLES).flatMap(([name, table]) => {
    const order = schema.getType(`${name}OrderBy`);
    if (!isEnumType(order)) throw new Error(`no order of ${name}`);
    const columns = order.getValues().map((v) => v.name.replace(/_(ASC|DESC)$/, "").toLowerCase());
    return [...new Set(columns)]
      .filter((column) => column !== "primary_key")
      .map((column) => ({ table, column }));
  });
}

/** What may be filtered or ordered by. */
function openedColumns(schema: GraphQLSchema): Opened[] {
  const filtered = Object.entries(TABLES).flatMap(([name, table]) => {
    const filter = schema.getType(`${name}Filter`);
    if (!isInputObjectType(filter)) throw new Error(`no filter of ${name}`);
    return Object.keys(filter.getFields()).map((field) => ({ table, column: columnOf(field) }));
  });
  return [...filtered, ...orderedColumns(schema)];
}

describe("what may be filtered or ordered by", () => {
  it("is never null where it orders: a page after a cursor would leave those rows out", async () => {
    const { rows: nullable } = await db.pool.query<{ table: string; column: string }>(
      `select c.relname as "table", a.attname as "column"
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
       where c.relnamespace = 'bookpost'::regnamespace and c.relkind = 'r' and not a.attnotnull`,
    );
    const ordered = orderedColumns(buildSchema(await printApiSchema(db.apiUrl)));
    expect(ordered).toContainEqual({ table: "parcels", column: "status_changed_at" });
    const mayBeNull = ordered.filter((a) =>
      nullable.some((b) => b.table === a.table && b.column === a.column),
    );
    // By an expression that is never null: parcelOverdueOrder.ts; backOffice.test.ts pages through it.
    expect(mayBeNull).toEqual([{ table: "parcels", column: "overdue_at" }]);
  });

  it("is served by an index", async () => {
    const opened = openedColumns(buildSchema(await printApiSchema(db.apiUrl)));
    expect(opened).toContainEqual({ table: "parcels", column: "tracking_number" });
    expect(opened).toContainEqual({ table: "parcels", column: "overdue_at" });
    // The first column of a whole index, or what a partial index is about.
    const { rows: indexed } = await db.pool.query<{ table: string; column: string }>(
      `select c.relname as "table", a.attname as "column"
       from pg_index i
       join pg_class c on c.oid = i.indrelid and c.relnamespace = 'bookpost'::regnamespace
       join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
       where (a.attnum = i.indkey[0] and i.indpred is null)
          or pg_get_expr(i.indpred, c.oid) = format('(%I IS NULL)', a.attname)`,
    );
    const has = (a: { table: string; column: string }) =>
      indexed.some((b) => b.table === a.table && b.column === a.column);
    expect(opened.filter((o) => !has(o)).map((o) => `${o.table}.${o.column}`)).toEqual([]);
  });
});
