import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  buildSchema,
  getNamedType,
  getNullableType,
  isListType,
  isObjectType,
} from "postgraphile/graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { readAnswer, signToken, startTestApi, type TestApi } from "../startTestApi.ts";
import { statementsOf } from "../statementsOf.ts";

const KEPT = await readFile(
  join(import.meta.dirname, "../../../src/graphql/schema.graphql"),
  "utf8",
);

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
  // Without a measure 28 keep a process busy for half an hour, 60 for longer than there are atoms to count with.
  ["fragments that double 16 times", doubling(16), /billions of fields|has [\d,]+ fields/],
  ["fragments that double 28 times, in 1.2 kB", doubling(28), /has 536,870,913 fields/],
  ["fragments that double 60 times", doubling(60), /billions of fields/],
  ["fragments that double 250 times, in 12 kB", doubling(250), /characters/],
  [
    "a circle of three fragments",
    "{ books { nodes { ...a } } } fragment a on Book { ...b } fragment b on Book { ...c } fragment c on Book { ...a }",
    /contains itself/,
  ],
  [
    "a fragment that contains itself",
    "{ books { nodes { ...a } } } fragment a on Book { ...b } fragment b on Book { ...a }",
    /contains itself/,
  ],
  ["a circle of books and parcels", `{ books { nodes { ${circle(4)} } } }`, /levels deep/],
  [
    "pages within pages",
    "{ books(first: 100) { nodes { parcels(first: 100) { nodes { trackingEvents(first: 100) { nodes { rawCode } } } } } } }",
    /may read 2,010,100 values/,
  ],
  [
    "pages within pages by variable",
    "query ($n: Int) { books(first: $n) { nodes { parcels(first: $n) { nodes { trackingEvents(first: $n) { nodes { rawCode } } } } } } }",
    /may read 2,010,100 values/,
  ],
  [
    "pages within pages by default",
    "{ books { nodes { parcels { nodes { books { nodes { notifications { nodes { id } } } } } } } } }",
    /may read 328,420 values/,
  ],
  [
    "the same long texts in each of a hundred rows, a hundred times over",
    `{ books(first: 100) { nodes { parcels(first: 1) { nodes { books(first: 100) { nodes { title ${repeat(15, (n) => `a${n}: title`)} } } } } } } }`,
    /may read 170,200 values/,
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
  ["8,000 braces", "{".repeat(8_000), /Syntax Error/],
  [
    "10,000 variables",
    `query (${repeat(10_000, (n) => `$v${n}:Int`)}) { books { totalCount } }`,
    /at most 50000 bytes/,
  ],
  [
    "as many variables as fit",
    `query (${repeat(900, (n) => `$v${n}:Int`)}) { books { totalCount } }`,
    /1000 tokens/,
  ],
  ["a list within lists", `{ books(filter: {id: {in: ${"[".repeat(3_000)}`, /1000 tokens/],
  [
    "one fragment spread many times",
    `{ books { nodes { ${repeat(300, () => "...f")} } } } fragment f on Book { id }`,
    /302 fields/,
  ],
  [
    "fragments that are never used",
    `{ books { totalCount } } ${repeat(130, (n) => `fragment f${n} on Book { id title }`)}`,
    /1000 tokens/,
  ],
  [
    "unused variables",
    `query (${repeat(400, (n) => `$v${n}: Int`)}) { books { totalCount } }`,
    /1000 tokens/,
  ],
  ["nested input", `{ books(filter: ${"{id:".repeat(600)}) { totalCount } }`, /1000 tokens/],
];

describe("a document that would cost too much", () => {
  it.each(hostile)("is refused before it is planned: %s", async (_what, document, sentence) => {
    const statements = await statementsOf(async () => {
      const { status, body } = await api.query(document, { token });
      expect(status).toBe(document.length > 50_000 ? 413 : 400);
      expect(body.data).toBeUndefined();
      expect(body.errors).toHaveLength(1);
      expect(body.errors[0].message).toMatch(sentence);
    });
    expect(statements).toEqual([]);
  });

  it("is seen by this count, where it is let through", async () => {
    for (let time = 0; time < 3; time++) {
      const sent = await statementsOf(() => api.query("{ books { totalCount } }", { token }));
      expect(sent.filter((text) => text.includes("count("))).toHaveLength(1);
    }
  });

  it("keeps nobody else waiting, and takes no memory that is worth naming", async () => {
    const all = () => hostile.map(([, document]) => api.query(document, { token }));
    await Promise.all(all());
    const before = process.memoryUsage.rss();
    for (let round = 0; round < 10; round++) {
      const attack = Promise.all(all());
      // Asked last, in the middle of it. One document of these, planned, would hold the process for good.
      const { body } = await api.query("{ carriers { nodes { code } } }");
      expect(body.data.carriers.nodes.length).toBeGreaterThan(5);
      await attack;
    }
    // Generous: planned without a measure, some of these took 300 to 800 MB each.
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
  });
});

it("no list of the schema is outside of the count: each has pages, or is part of one", () => {
  const types = Object.values(buildSchema(KEPT).getTypeMap()).filter(isObjectType);
  const bare = types
    .filter(({ name }) => !name.startsWith("__"))
    .flatMap((type) => Object.values(type.getFields()).map((field) => ({ type, field })))
    .filter(({ field }) => isListType(getNullableType(field.type)))
    // Of scalars it is one column's value.
    .filter(({ field }) => isObjectType(getNamedType(field.type)))
    .map(({ type, field }) => `${type.name}.${field.name}`);
  expect(bare.length).toBeGreaterThan(10);
  expect(bare.filter((name) => !/^\w+Connection\.(nodes|edges)$/.test(name))).toEqual([]);
});

describe("variables", () => {
  const list = "query ($ids: [UUID!]) { books(filter: { id: { in: $ids } }) { totalCount } }";
  const one = "query ($id: UUID!) { book(id: $id) { title } }";
  const page = "query ($n: Int) { books(first: $n) { nodes { id } } }";

  it.each([
    ["a list within 10,000 lists", list, `{"ids":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
    ["an object within 8,000", list, `{"ids":${'{"a":'.repeat(8_000)}1${"}".repeat(8_000)}}`],
    ["an object where a text must be", one, '{"id":{"toString":"x"}}'],
    ["a text that is no id", one, '{"id":"\' or true --"}'],
    ["a text with NUL", one, '{"id":"\\u0000"}'],
    ["half a character", one, '{"id":"\\ud800"}'],
    ["a page of minus one", page, '{"n":-1}'],
    ["a page of 2,147,483,647", page, '{"n":2147483647}'],
    ["a page of 10^400", page, '{"n":1e400}'],
    ["nothing where something must be", one, "{}"],
  ])(
    "of this kind are refused, and Postgres hears nothing: %s",
    async (_what, query, variables) => {
      const statements = await statementsOf(async () => {
        const response = await fetch(`${api.url}/graphql`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
          body: `{"query":${JSON.stringify(query)},"variables":${variables}}`,
        });
        const { errors, data } = (await readAnswer(response)).body;
        expect(errors).toHaveLength(1);
        expect(data?.books ?? data?.book ?? null).toBeNull();
        expect(JSON.stringify(errors)).not.toMatch(/at .*\.[jt]s|node_modules|call stack/);
      });
      expect(statements).toEqual([]);
    },
  );

  it("may be eight levels deep, and not nine", async () => {
    const nested = (levels: number) => JSON.parse(`${"[".repeat(levels)}1${"]".repeat(levels)}`);
    const ask = (levels: number) =>
      api.query("{ books { totalCount } }", { token, variables: { unused: nested(levels) } });
    expect((await ask(7)).body).toEqual({ data: { books: { totalCount: 0 } } });
    const { status, body } = await ask(8);
    expect(status).toBe(400);
    expect(body.errors[0].message).toBe("Variables may be nested 8 levels deep; these are deeper.");
  });

  it("that fill the body are answered: 1,000 ids", async () => {
    const ids = Array.from({ length: 1_000 }, () => crypto.randomUUID());
    const { body } = await api.query(list, { token, variables: { ids } });
    expect(body).toEqual({ data: { books: { totalCount: 0 } } });
  });

  it("that nobody asked for, and names from an object's own words, change nothing", async () => {
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: `{"query":"{ books { totalCount } }","variables":{"__proto__":{"role":"postgres"},"constructor":1,"x":${JSON.stringify("y".repeat(40_000))}},"extensions":{"a":{"b":[1]}},"operationName":null,"pgSettings":{"role":"postgres"}}`,
    });
    expect(await response.json()).toEqual({ data: { books: { totalCount: 0 } } });
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

it("a hundred books with sixty scans of each are answered", async () => {
  const { body } = await api.query(
    `{ books(first: 100) { nodes { id title currentParcel { status trackingEvents(first: 60) { nodes {
       occurredAt localTime status description location countryCode } } } } } }`,
    { token },
  );
  expect(body.errors).toBeUndefined();
});
