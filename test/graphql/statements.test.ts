import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, type MockInstance, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
/** Who reads: one with 30 books, one with a single one, and the operator. */
let tokens: Record<"many" | "one" | "operator", string>;
/** A book of each of the two. */
const ids: Record<"many" | "one", { bookId: string; parcelId: string }> = {
  many: { bookId: "", parcelId: "" },
  one: { bookId: "", parcelId: "" },
};

/** Before any connection is made: a pool keeps the function that a connection had when it came. */
const sent = vi.spyOn(pg.Client.prototype, "query") as unknown as MockInstance<
  (query: unknown) => unknown
>;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  const [many, one] = [await seedUser(db.pool, "Ada"), await seedUser(db.pool, "Ben")];
  for (let n = 0; n < 30; n++)
    ids.many = await seedBook(db.pool, {
      owner: many,
      title: `Volume ${n}`,
      number: `1Z999AA1012345${6800 + n}`,
      events: 7,
    });
  ids.one = await seedBook(db.pool, { owner: one, title: "Emma", number: "1Z999AA10123456799" });
  tokens = {
    many: await signToken("bookpost_member", many),
    one: await signToken("bookpost_member", one),
    operator: await signToken("bookpost_operator"),
  };
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

/** All that is sent to Postgres by the API while `work` runs. */
async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  sent.mockClear();
  await work();
  return sent.mock.calls.map(([first]) => (first as { text?: string }).text ?? String(first));
}

const PARCEL = `id status trackingNumber trackingPage lastLookedAt nextLookAt didLastLookWork
  carrier { name carrierCircuit { state openUntil } api { name } }
  trackingEvents(first: 5, orderBy: [SORT_AT_DESC]) { nodes { rawCode occurredAt isOfEarlierLife } }`;

/** What an app asks, as whom, and how many statements read for it. */
const PAGES: readonly {
  readonly page: string;
  readonly as: readonly (keyof typeof tokens)[];
  readonly text: string;
  readonly reads: number;
}[] = [
  {
    page: "my books, each with its parcel, carrier, circuit, freshness and last scans",
    as: ["many", "one"],
    text: `{ books { nodes { title author currentParcel { ${PARCEL} } } pageInfo { hasNextPage endCursor } } }`,
    reads: 1,
  },
  {
    page: "the same with how many there are in all",
    as: ["many", "one"],
    text: `{ books { totalCount nodes { title currentParcel { ${PARCEL} } } } }`,
    reads: 2,
  },
  {
    page: "one book",
    as: ["many", "one"],
    text: `query ($bookId: UUID!) { book(id: $bookId) { title owner { name } currentParcel { ${PARCEL} } notifications(first: 3) { nodes { status } } } }`,
    reads: 1,
  },
  {
    page: "all the parcels a book has been in",
    as: ["many", "one"],
    text: `query ($bookId: UUID!) { book(id: $bookId) { parcelBooks { nodes { startedAt stoppedAt parcel { ${PARCEL} } } } } }`,
    reads: 1,
  },
  {
    page: "one parcel with everything",
    as: ["many", "one"],
    text: `query ($parcelId: UUID!) { parcel(id: $parcelId) { ${PARCEL} books { nodes { title } } parcelBooks { nodes { startedAt book { title } } } notifications { nodes { status message } } } }`,
    reads: 2,
  },
  {
    page: "notifications with the number of unread ones",
    as: ["many", "one"],
    text: `{ notifications { nodes { message createdAt readAt book { title } parcel { status } } }
            unread: notifications(filter: { readAt: { isNull: true } }) { totalCount } }`,
    reads: 3,
  },
  {
    page: "the operator's list of books with their owners",
    as: ["operator"],
    text: `{ books(first: 100) { nodes { title owner { name } currentParcel { ${PARCEL} } } } }`,
    reads: 1,
  },
  {
    page: "the operator's list of parcels of a status with their books",
    as: ["operator"],
    text: `{ parcels(first: 100, filter: { status: { equalTo: PENDING } }) { nodes { ${PARCEL} books { nodes { title } } } } }`,
    reads: 2,
  },
  {
    page: "carriers with their APIs, limits and circuits",
    as: ["operator", "one"],
    text: "{ carriers { nodes { name api { name limits { nodes { calls } } } carrierCircuit { state } } } }",
    reads: 1,
  },
];

describe("the statements that a page costs", () => {
  it.each(PAGES)("$page: $reads, however many rows", async ({ as, text, reads }) => {
    for (const who of as) {
      const variables = text.startsWith("query") ? ids[who === "operator" ? "many" : who] : {};
      let answer: Awaited<ReturnType<TestApi["query"]>> | undefined;
      const statements = await statementsOf(async () => {
        answer = await api.query(text, { token: tokens[who], variables });
      });
      expect(answer?.body.errors).toBeUndefined();
      expect(statements.filter((sql) => /^\s*select/i.test(sql))).toHaveLength(reads);
      // Each read is a transaction: its beginning, with the settings, and its end.
      expect(statements).toHaveLength(3 * reads);
    }
  });

  it("of a list are sent in three messages that do not wait for each other", async () => {
    const statements = await statementsOf(() =>
      api.query("{ books { nodes { title } } }", { token: tokens.many }),
    );
    expect(statements).toEqual([
      expect.stringMatching(/^begin read only; select pg_catalog\.set_config\('role', /),
      expect.stringMatching(/^select/),
      "commit",
    ]);
  });
});
