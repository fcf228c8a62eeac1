import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type SeededBook, seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
/** One person of each name, her token and her book; Ada's and Ben's are in one parcel, Cleo's is in another. */
const people: Record<string, { id: string; token: string; book: SeededBook }> = {};
let visitor: string;
let operator: string;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  const shared = "1Z999AA10123456784";
  for (const [name, number] of [
    ["Ada", shared],
    ["Ben", shared],
    ["Cleo", "1Z999AA10123456799"],
  ] as const) {
    const id = await seedUser(db.pool, name);
    people[name] = {
      id,
      token: await signToken("bookpost_member", id),
      book: await seedBook(db.pool, { owner: id, title: `${name}'s book`, number, events: 2 }),
    };
  }
  visitor = await signToken("bookpost_visitor");
  operator = await signToken("bookpost_operator");
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

function person(name: string) {
  const found = people[name];
  if (!found) throw new Error(`nobody is called ${name}`);
  return found;
}

async function ask(token: string | undefined, text: string, variables?: Record<string, unknown>) {
  const { body } = await api.query(text, { token, variables });
  expect(body.errors).toBeUndefined();
  return body.data;
}

describe("a member", () => {
  it("sees her own book, parcel, scans and notifications, and counts no others", async () => {
    expect(
      await ask(
        person("Cleo").token,
        `{ books { totalCount nodes { title owner { name } } }
           parcels { totalCount nodes { trackingNumber } }
           trackingEvents { totalCount nodes { parcelId } }
           notifications { totalCount nodes { book { title } } } }`,
      ),
    ).toEqual({
      books: { totalCount: 1, nodes: [{ title: "Cleo's book", owner: { name: "Cleo" } }] },
      parcels: { totalCount: 1, nodes: [{ trackingNumber: "1Z999AA10123456799" }] },
      trackingEvents: {
        totalCount: 2,
        nodes: [
          { parcelId: person("Cleo").book.parcelId },
          { parcelId: person("Cleo").book.parcelId },
        ],
      },
      notifications: { totalCount: 1, nodes: [{ book: { title: "Cleo's book" } }] },
    });
  });

  it("cannot reach another's rows by their ids", async () => {
    const other = person("Ada");
    const { rows } = await db.pool.query<{ id: string }>(
      "select id from bookpost.notifications where user_id = $1",
      [other.id],
    );
    const data = await ask(
      person("Cleo").token,
      `query ($book: UUID!, $parcel: UUID!, $note: UUID!, $user: UUID!) {
         book(id: $book) { title }
         parcel(id: $parcel) { trackingNumber }
         notification(id: $note) { id }
         books(filter: { ownerId: { equalTo: $user } }) { totalCount nodes { id } }
         trackingEvents(filter: { parcelId: { equalTo: $parcel } }) { totalCount nodes { identity } }
       }`,
      { book: other.book.bookId, parcel: other.book.parcelId, note: rows[0]?.id, user: other.id },
    );
    expect(data).toEqual({
      book: null,
      parcel: null,
      notification: null,
      books: { totalCount: 0, nodes: [] },
      trackingEvents: { totalCount: 0, nodes: [] },
    });
  });

  it("sees the parcel she shares, and in it only her own book and relation", async () => {
    const { parcel } = await ask(
      person("Ada").token,
      `query ($id: UUID!) { parcel(id: $id) {
         trackingNumber lastLookedAt nextLookAt
         books { totalCount nodes { title } edges { ownerId node { title } } }
         parcelBooks { totalCount nodes { ownerId book { title } } }
         notifications { totalCount nodes { userId user { name } } }
         trackingEvents { totalCount }
       } }`,
      { id: person("Ben").book.parcelId },
    );
    const ada = person("Ada").id;
    expect(parcel).toEqual({
      trackingNumber: "1Z999AA10123456784",
      lastLookedAt: null,
      nextLookAt: expect.any(String),
      books: {
        totalCount: 1,
        nodes: [{ title: "Ada's book" }],
        edges: [{ ownerId: ada, node: { title: "Ada's book" } }],
      },
      parcelBooks: { totalCount: 1, nodes: [{ ownerId: ada, book: { title: "Ada's book" } }] },
      notifications: { totalCount: 1, nodes: [{ userId: ada, user: { name: "Ada" } }] },
      trackingEvents: { totalCount: 2 },
    });
  });

  it("who owns nothing sees nothing", async () => {
    const token = await signToken("bookpost_member", "99999999-9999-4999-8999-999999999999");
    const data = await ask(
      token,
      "{ books { totalCount } parcels { totalCount } trackingEvents { totalCount } notifications { totalCount } }",
    );
    for (const list of Object.values(data)) expect(list).toEqual({ totalCount: 0 });
  });
});

describe("a visitor", () => {
  it("sees carriers and circuits, with a token and without", async () => {
    for (const token of [undefined, visitor]) {
      const data = await ask(
        token,
        '{ carriers { totalCount } carrierCircuit(apiCode: "ups") { state api { name } } }',
      );
      expect(data.carriers.totalCount).toBeGreaterThan(5);
      expect(data.carrierCircuit).toEqual({ state: "CLOSED", api: { name: "UPS Tracking" } });
    }
  });

  it.each(["books", "parcels", "trackingEvents", "notifications"])(
    "sees no %s, not even how many",
    async (list) => {
      for (const token of [undefined, visitor]) {
        for (const fields of ["totalCount", "nodes { __typename }"]) {
          const { body } = await api.query(`{ ${list} { ${fields} } }`, { token });
          expect(body.data?.[list] ?? null).toBeNull();
          expect(body.errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
        }
      }
    },
  );
});

describe("an operator", () => {
  it("sees every owner's books", async () => {
    const data = await ask(
      operator,
      `query ($id: UUID!) {
         books(orderBy: CREATED_AT_ASC) { totalCount nodes { title owner { name } } }
         parcel(id: $id) { books { totalCount } }
       }`,
      { id: person("Ada").book.parcelId },
    );
    expect(data).toEqual({
      books: {
        totalCount: 3,
        nodes: ["Ada", "Ben", "Cleo"].map((name) => ({ title: `${name}'s book`, owner: { name } })),
      },
      parcel: { books: { totalCount: 2 } },
    });
  });
});

it("many at once on few connections, no one sees another's rows", async () => {
  const text = "{ books { totalCount nodes { title } } }";
  const failing = '{ books(after: "nonsense") { totalCount nodes { title } } }';
  const names = ["Ada", "Ben", "Cleo"];
  const answers = await Promise.all(
    Array.from({ length: 120 }, async (_, i) => {
      const name = names[i % 3] ?? "";
      if (i % 4 === 0) await api.query(failing, { token: person(name).token });
      if (i % 5 === 0) return { name: "", data: (await api.query(text)).body.data };
      return { name, data: await ask(person(name).token, text) };
    }),
  );
  for (const { name, data } of answers)
    expect(data).toEqual(
      name === ""
        ? { books: null }
        : { books: { totalCount: 1, nodes: [{ title: `${name}'s book` }] } },
    );
});
