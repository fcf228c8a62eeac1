import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
let token: string;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  token = await signToken("bookpost_operator");
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

const repeat = (count: number, piece: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => piece(n)).join(" ");

/** Each fragment spreads the next one twice: 2^n fields. */
const doubling = (n: number) =>
  `{ books { nodes { ...f0 } } } ${repeat(n, (i) => `fragment f${i} on Book { a${i}: id ...f${i + 1} ...f${i + 1} }`)} fragment f${n} on Book { id }`;

/** books → parcels → books → …, each through `nodes`. */
const circle = (levels: number): string =>
  levels === 0
    ? "id"
    : `parcels(first: 1) { nodes { books(first: 1) { nodes { ${circle(levels - 1)} } } } }`;

const hostile: readonly (readonly [what: string, document: string, sentence: RegExp])[] = [
  ["fragments that double 16 times", doubling(16), /billions of fields|has [\d,]+ fields/],
  ["fragments that double 60 times", doubling(60), /billions of fields/],
  [
    "a fragment that contains itself",
    "{ books { nodes { ...a } } } fragment a on Book { ...b } fragment b on Book { ...a }",
    /contains itself/,
  ],
  ["a circle of books and parcels", `{ books { nodes { ${circle(4)} } } }`, /levels deep/],
  [
    "pages within pages",
    "{ books(first: 100) { nodes { parcels(first: 100) { nodes { trackingEvents(first: 100) { nodes { rawCode } } } } } } }",
    /may read 1,010,100 rows/,
  ],
  [
    "pages within pages by variable",
    "query ($n: Int) { books(first: $n) { nodes { parcels(first: $n) { nodes { trackingEvents(first: $n) { nodes { rawCode } } } } } } }",
    /may read 1,010,100 rows/,
  ],
  [
    "pages within pages by default",
    "{ books { nodes { parcels { nodes { books { nodes { notifications { nodes { id } } } } } } } } }",
    /may read 168,420 rows/,
  ],
  [
    "one list under many names",
    `{ books { nodes { ${repeat(16, (n) => `n${n}: notifications { totalCount }`)} } } }`,
    /16 aliases/,
  ],
  [
    "one column under many names",
    `{ books { nodes { ${repeat(150, (n) => `a${n}: title`)} } } }`,
    /150 aliases/,
  ],
  [
    "many lists at once",
    `{ ${repeat(6, (n) => `l${n}: books { totalCount }`)} }`,
    /6 things at once/,
  ],
  [
    "many lists at once in a fragment",
    `{ ...q } fragment q on Query { ${repeat(6, (n) => `l${n}: books { totalCount }`)} }`,
    /6 things at once/,
  ],
  [
    "many directives",
    `{ books { nodes { ${repeat(21, () => "id @include(if: true)")} } } }`,
    /21 directives/,
  ],
  ["many fields", `{ books { nodes { ${repeat(260, () => "id")} } } }`, /262 fields/],
  [
    "two operations",
    "query a { books { totalCount } } query b { books { totalCount } }",
    /this one has 2/,
  ],
  ["no operation", "fragment f on Book { id }", /this one has 0/],
  ["a long document", `{ books { totalCount } } #${"x".repeat(10_000)}`, /characters/],
  ["a document of braces", "{a".repeat(4_000), /1000 tokens/],
  [
    "unused variables",
    `query (${repeat(400, (n) => `$v${n}: Int`)}) { books { totalCount } }`,
    /1000 tokens/,
  ],
  ["nested input", `{ books(filter: ${"{id:".repeat(600)}) { totalCount } }`, /1000 tokens/],
];

describe("a document that would cost too much", () => {
  it.each(hostile)("is refused before it is planned: %s", async (_what, document, sentence) => {
    const { status, body } = await api.query(document, { token });
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    expect(body.errors).toHaveLength(1);
    expect(body.errors[0].message).toMatch(sentence);
  });

  it("leaves the API answering", async () => {
    await Promise.all(hostile.map(([, document]) => api.query(document, { token })));
    const { body } = await api.query("{ carriers { nodes { code } } }");
    expect(body.data.carriers.nodes.length).toBeGreaterThan(5);
  });
});

describe("a document that is wrong", () => {
  it("is not helped to the right names, and told of five errors at most", async () => {
    const { status, text, body } = await api.query(
      `{ carriers { nodes { ${repeat(30, (n) => `nam${n}`)} } } }`,
    );
    expect(status).toBe(400);
    expect(text).not.toMatch(/Did you mean|"name"/);
    // The sixth says that there are more.
    expect(body.errors).toHaveLength(6);
    const short = await api.query("{ bookz { id } }");
    expect(short.body.errors[0].message).toBe('Cannot query field "bookz" on type "Query".');
    expect(short.body.errors[0].extensions.code).toBe("BAD_DOCUMENT");
  });

  it("is not helped to the right value of an enum, in the document and as a variable", async () => {
    const literal = await api.query(
      "{ parcels(filter: { status: { equalTo: DELIVERD } }) { totalCount } }",
    );
    const variable = await api.query(
      "query ($s: ParcelStatus) { parcels(filter: { status: { equalTo: $s } }) { totalCount } }",
      { variables: { s: "DELIVERD" } },
    );
    for (const { text, status } of [literal, variable]) {
      expect(status).toBe(400);
      expect(text).not.toContain("DELIVERED");
    }
  });

  it("cannot change anything with an argument that is not there", async () => {
    const { status, body } = await api.query('mutation { trackBook(title: "x") { id } }', {
      token,
    });
    expect(status).toBe(400);
    expect(body.errors[0].message).toBe('Unknown argument "title" on field "Mutation.trackBook".');
  });
});

describe("introspection", () => {
  const text = '{ __schema { queryType { name } } __type(name: "Book") { name } }';

  it("is refused in production", async () => {
    const { status, body } = await api.query(text, { token });
    expect(status).toBe(400);
    expect(body.errors[0].message).toContain("introspection");
    expect((await api.query("{ __typename }")).body.data).toEqual({ __typename: "Query" });
  });

  it("is answered in development", async () => {
    const development = await startTestApi(db, { isDevelopment: true });
    try {
      const { body } = await development.query(text);
      expect(body.data).toEqual({
        __schema: { queryType: { name: "Query" } },
        __type: { name: "Book" },
      });
      const { getIntrospectionQuery } = await import("postgraphile/graphql");
      expect((await development.query(getIntrospectionQuery())).body.errors).toBeUndefined();
    } finally {
      await development.stop();
    }
  });
});

it("a document of the size that apps need is answered", async () => {
  const { body } = await api.query(
    `query Page($n: Int = 20) {
       books(first: $n) {
         totalCount
         pageInfo { hasNextPage endCursor }
         edges { cursor node {
           id title author declaredValue declaredCurrency
           parcels(first: 3) { edges { stoppedAt node {
             ...Parcel
             trackingEvents(first: 5, orderBy: SORT_AT_DESC) { edges { node { ...Scan } } }
           } } }
         } }
       }
       notifications(first: 10) { nodes { status createdAt readAt book { id title } } }
     }
     fragment Parcel on Parcel { id status statusChangedAt trackingNumber trackingPage lastLookedAt nextLookAt didLastLookWork estimatedFrom estimatedUntil carrier { name carrierCircuit { state openUntil } } }
     fragment Scan on TrackingEvent { identity occurredAt localTime timeZone isDateOnly status rawCode description location countryCode }`,
    { token },
  );
  expect(body.errors).toBeUndefined();
});
