import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, type MockInstance, vi } from "vitest";
import { makeBooks } from "../bench/graphql/makeBooks.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
/** One of 300 owners with five books each, and one of her books. */
let owner: { readonly id: string; readonly bookId: string; readonly parcelId: string };
let tokens: Record<"member" | "operator", string>;

interface Sent {
  readonly text?: string;
  readonly values?: readonly unknown[];
}

/** Before any connection is made: a pool keeps the function that a connection had when it came. */
const sent = vi.spyOn(pg.Client.prototype, "query") as unknown as MockInstance<
  (query: Sent | string) => unknown
>;

beforeAll(async () => {
  db = await createTestDatabase();
  const { collectors } = await makeBooks(db.url, { owners: 300, books: 5 });
  const [first] = collectors;
  if (!first) throw new Error("nobody has books");
  const { rows } = await db.pool.query<{ parcel_id: string }>(
    "select parcel_id from bookpost.parcel_books where book_id = $1",
    [first.bookId],
  );
  owner = { ...first, parcelId: rows[0]?.parcel_id ?? "" };
  api = await startTestApi(db);
  tokens = {
    member: await signToken("bookpost_member", owner.id),
    operator: await signToken("bookpost_operator"),
  };
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

interface PlanNode {
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly PlanNode[];
}

/** How many rows of its tables a plan fetched, those that it threw away included. */
function rowsOf(node: PlanNode): number {
  const own = node["Relation Name"]
    ? (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"]
    : 0;
  return (node.Plans ?? []).reduce((sum, plan) => sum + rowsOf(plan), own);
}

/** How many rows Postgres fetches to answer a document. */
async function rowsRead(as: keyof typeof tokens, text: string, variables = {}): Promise<number> {
  sent.mockClear();
  const { body } = await api.query(text, { token: tokens[as], variables });
  expect(body.errors).toBeUndefined();
  const reads = sent.mock.calls.flatMap(([query]) =>
    typeof query === "object" && /from "?bookpost"?\./.test(query.text ?? "") ? [query] : [],
  );
  expect(reads.length).toBeGreaterThan(0);
  const client = await db.pool.connect();
  try {
    await client.query("begin");
    await client.query(`set local role bookpost_${as}`);
    await client.query("select set_config('bookpost.user_id', $1, true)", [
      as === "member" ? owner.id : "",
    ]);
    let rows = 0;
    for (const { text: read = "", values = [] } of reads) {
      const explained = await client.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
        `explain (analyze, format json) ${read}`,
        [...values],
      );
      for (const { "QUERY PLAN": plan } of explained.rows) rows += rowsOf(plan[0].Plan);
    }
    return rows;
  } finally {
    await client.query("rollback");
    client.release();
  }
}

/** Chosen: of 1,500 parcels with 12,000 scans; she has 5 with 40. */
const FEW = 300;

describe("a member with a few books among many", () => {
  it.each([
    ["her parcels", "{ parcels { nodes { id } } }"],
    ["her parcels by status", "{ parcels(filter: {status: {in: [IN_TRANSIT]}}) { nodes { id } } }"],
    ["how many parcels she has", "{ parcels { totalCount } }"],
    ["her last scans", "{ trackingEvents(orderBy: [SORT_AT_DESC]) { nodes { rawCode } } }"],
    [
      "her books with parcels and scans",
      "{ books { nodes { currentParcel { trackingEvents(first: 3) { nodes { rawCode } } } } } }",
    ],
    [
      "a parcel with its scans",
      "query ($parcel: UUID!) { parcel(id: $parcel) { trackingEvents { nodes { rawCode } } } }",
    ],
    [
      "a parcel's scans",
      "query ($parcel: UUID!) { trackingEvents(filter: {parcelId: {equalTo: $parcel}}) { nodes { rawCode } } }",
    ],
    ["a book", "query ($book: UUID!) { book(id: $book) { currentParcel { id } } }"],
  ])("reads hers and few more for %s", async (_name, text) => {
    const variables = {
      ...(text.includes("$parcel") && { parcel: owner.parcelId }),
      ...(text.includes("$book") && { book: owner.bookId }),
    };
    expect(await rowsRead("member", text, variables)).toBeLessThan(FEW);
  });
});

describe("an operator", () => {
  it.each([
    ["parcels", "{ parcels { nodes { id } } }"],
    ["scans", "{ trackingEvents(orderBy: [SORT_AT_DESC]) { nodes { rawCode } } }"],
  ])("reads a page of everyone's %s and few more", async (_name, text) => {
    expect(await rowsRead("operator", text)).toBeLessThan(FEW);
  });

  it("sees everyone's parcels", async () => {
    const { body } = await api.query("{ parcels { totalCount } }", { token: tokens.operator });
    expect(body.data).toEqual({ parcels: { totalCount: 1500 } });
  });
});
