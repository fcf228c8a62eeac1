import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
let token: string;
let owner: string;
let parcelId: string;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  owner = await seedUser(db.pool, "Ada");
  token = await signToken("bookpost_member", owner);
  await db.pool.query(
    `insert into bookpost.books (owner_id, title, created_at)
     select $1, 'Volume ' || n, timestamptz '2025-01-01 00:00Z' + n * interval '1 day'
     from generate_series(1, 104) n`,
    [owner],
  );
  ({ parcelId } = await seedBook(db.pool, {
    owner,
    title: "Volume 105",
    number: "1Z999AA10123456784",
    events: 3,
  }));
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

async function ask(text: string, variables?: Record<string, unknown>) {
  const { body } = await api.query(text, { token, variables });
  expect(body.errors).toBeUndefined();
  return body.data;
}

async function refusal(text: string, variables?: Record<string, unknown>) {
  const { body } = await api.query(text, { token, variables });
  return body.errors?.[0];
}

describe("a page", () => {
  it("has 20 rows when nothing is said, or null is", async () => {
    expect((await ask("{ books { nodes { id } } }")).books.nodes).toHaveLength(20);
    expect((await ask("{ books(first: null) { nodes { id } } }")).books.nodes).toHaveLength(20);
    const text = "query ($n: Int) { books(first: $n) { nodes { id } } }";
    expect((await ask(text, { n: null })).books.nodes).toHaveLength(20);
    expect((await ask(text, {})).books.nodes).toHaveLength(20);
  });

  it("has up to 100 rows, as a literal and as a variable", async () => {
    expect((await ask("{ books(first: 100) { nodes { id } } }")).books.nodes).toHaveLength(100);
    const text = "query ($n: Int) { books(first: $n) { totalCount nodes { id } } }";
    expect((await ask(text, { n: 100 })).books.nodes).toHaveLength(100);
    expect((await ask(text, { n: 0 })).books).toEqual({ totalCount: 105, nodes: [] });
  });

  it.each([101, 2_147_483_647, -1])("cannot have %i rows", async (n) => {
    const expected = {
      message: expect.stringContaining("0 to 100 rows"),
      extensions: { code: "BAD_INPUT" },
    };
    expect(await refusal(`{ books(first: ${n}) { nodes { id } } }`)).toMatchObject(expected);
    const text = "query ($n: Int) { books(first: $n) { nodes { id } } }";
    expect(await refusal(text, { n })).toMatchObject(expected);
    const nested = `query ($id: UUID!, $n: Int) { parcel(id: $id) { trackingEvents(first: $n) { nodes { identity } } books(first: $n) { nodes { id } } } }`;
    expect(await refusal(nested, { id: parcelId, n })).toMatchObject(expected);
  });

  it("follows the one before without a gap or a repetition", async () => {
    const text = `query ($after: Cursor) { books(first: 40, after: $after) { pageInfo { hasNextPage endCursor } nodes { title } } }`;
    const titles: string[] = [];
    let after: string | null = null;
    for (;;) {
      const {
        books,
      }: {
        books: {
          nodes: { title: string }[];
          pageInfo: { hasNextPage: boolean; endCursor: string };
        };
      } = await ask(text, { after });
      titles.push(...books.nodes.map((n) => n.title));
      if (!books.pageInfo.hasNextPage) break;
      after = books.pageInfo.endCursor;
    }
    expect(titles).toEqual(Array.from({ length: 105 }, (_, i) => `Volume ${105 - i}`));
  });

  it("cannot begin after a cursor of another order, or after nonsense", async () => {
    const { books } = await ask(
      "{ books(first: 1, orderBy: PRIMARY_KEY_ASC) { pageInfo { endCursor } } }",
    );
    for (const after of [books.pageInfo.endCursor, "nonsense", "[1]", ""]) {
      const error = await refusal(
        "query ($after: Cursor) { books(after: $after, orderBy: CREATED_AT_DESC) { nodes { id } } }",
        { after },
      );
      expect(error?.message).toContain("cursor");
    }
  });
});

describe("the order", () => {
  it("of books is newest first, or as asked", async () => {
    const first = async (args: string) =>
      (await ask(`{ books(first: 1${args}) { nodes { title } } }`)).books.nodes[0].title;
    expect(await first("")).toBe("Volume 105");
    expect(await first(", orderBy: CREATED_AT_ASC")).toBe("Volume 1");
  });

  it("of scans is oldest first, or as asked, and by the carrier's rank within a moment", async () => {
    await db.pool.query(
      `insert into bookpost.tracking_events (parcel_id, identity, raw_time, raw_code, sort_at, sort_rank)
       values ($1, 'z', 'raw', 'X', '2025-08-02 00:00Z', 1), ($1, 'a', 'raw', 'X', '2025-08-02 00:00Z', 2)`,
      [parcelId],
    );
    const identities = async (args: string) =>
      (
        await ask(
          `query ($id: UUID!) { parcel(id: $id) { trackingEvents${args} { nodes { identity } } } }`,
          { id: parcelId },
        )
      ).parcel.trackingEvents.nodes.map((n: { identity: string }) => n.identity);
    const oldestFirst = ["scan 1", "scan 2", "scan 3", "z", "a"];
    expect(await identities("")).toEqual(oldestFirst);
    expect(await identities("(orderBy: SORT_AT_ASC)")).toEqual(oldestFirst);
    expect(await identities("(orderBy: SORT_AT_DESC)")).toEqual(oldestFirst.toReversed());
    expect(await identities("(orderBy: SORT_AT_DESC, first: 2)")).toEqual(["a", "z"]);
  });
});
