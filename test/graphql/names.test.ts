import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildSchema, isEnumType, isObjectType } from "postgraphile/graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { printApiSchema } from "../../src/graphql/printApiSchema.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { type SeededBook, seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

const KEPT = await readFile(join(import.meta.dirname, "../../src/graphql/schema.graphql"), "utf8");

/** Table of words → its enum, and the column that has the words. */
const ENUM_OF = {
  circuit_states: ["CircuitState", "state"],
  notification_kinds: ["NotificationKind", "kind"],
  parcel_statuses: ["ParcelStatus", "status"],
} as const;

let db: TestDatabase;
let api: TestApi;
let operator: string;
let seeded: SeededBook;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  operator = await signToken("bookpost_operator");
  const owner = await seedUser(db.pool, "Ada");
  seeded = await seedBook(db.pool, {
    owner,
    title: "Ulysses",
    number: "1Z999AA10123456784",
    events: 2,
  });
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

async function ask(text: string, variables?: Record<string, unknown>) {
  const { body } = await api.query(text, { token: operator, variables });
  expect(body.errors).toBeUndefined();
  return body.data;
}

describe("the schema", () => {
  it("is the one kept in schema.graphql", async () => {
    expect(await printApiSchema(db.apiUrl)).toBe(KEPT);
  });

  it("does not depend on who logs in", async () => {
    expect(await printApiSchema(db.url)).toBe(KEPT);
    expect(await printApiSchema(db.adminUrl)).toBe(KEPT);
  });

  it("has these ways in and no others", () => {
    const query = buildSchema(KEPT).getQueryType();
    expect(Object.keys(query?.getFields() ?? {}).sort()).toEqual([
      "book",
      "bookByAppBookId",
      "books",
      "carrier",
      "carrierApi",
      "carrierApis",
      "carrierCircuit",
      "carrierCircuits",
      "carriers",
      "changes",
      "currentUser",
      "latestCursor",
      "notification",
      "notifications",
      "parcel",
      "parcels",
      "sharedParcel",
      "trackingEvents",
    ]);
  });

  it("has these ways to write and no others, each with one input", () => {
    const mutation = buildSchema(KEPT).getMutationType();
    const fields = Object.values(mutation?.getFields() ?? {});
    expect(fields.map(({ name }) => name).sort()).toEqual([
      "correctTrackingNumber",
      "markBook",
      "markNotificationsRead",
      "optIn",
      "optOut",
      "refreshBook",
      "requestPhoneVerification",
      "revokeTrackingLink",
      "setContact",
      "setNotificationPreferences",
      "shareBook",
      "stopTracking",
      "trackBook",
      "verifyPhone",
    ]);
    for (const { name, args, type } of fields) {
      const Name = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
      // Only this one has a meaning where nothing is said: whoever is signed in.
      const mark = name === "requestPhoneVerification" ? "" : "!";
      expect(args.map((arg) => `${arg.name}: ${arg.type}`)).toEqual([`input: ${Name}Input${mark}`]);
      expect(type.toString()).toBe(`${Name}Payload`);
    }
    expect(Object.keys(buildSchema(KEPT).getSubscriptionType()?.getFields() ?? {})).toEqual([
      "changed",
    ]);
    expect(KEPT).not.toContain("normalizeTrackingNumber");
  });

  it("pages every list forward only, 20 rows unless asked, in a known order", () => {
    const types = Object.values(buildSchema(KEPT).getTypeMap()).filter(isObjectType);
    const connections = types
      .flatMap((type) => Object.values(type.getFields()))
      // Changes have an order and a cursor of their own (changes.test.ts).
      .filter((field) => /^(?!Change).*Connection/.test(field.type.toString()));
    expect(connections.length).toBeGreaterThan(10);
    for (const field of connections) {
      const names = field.args.map((a) => a.name);
      expect(names).toEqual(expect.arrayContaining(["first", "after", "orderBy"]));
      expect(names).not.toEqual(expect.arrayContaining(["last"]));
      expect(names).not.toEqual(expect.arrayContaining(["before"]));
      expect(names).not.toEqual(expect.arrayContaining(["offset"]));
      expect(field.args.find((a) => a.name === "first")?.defaultValue).toBe(20);
      expect(field.args.find((a) => a.name === "orderBy")?.defaultValue).toHaveLength(1);
    }
    expect(KEPT).not.toContain("NATURAL");
  });

  it("has an enum in place of each table of words, with its rows as values", async () => {
    const schema = buildSchema(KEPT);
    const { rows: tables } = await db.pool.query(
      `select table_name as name from information_schema.columns
       where table_schema = 'bookpost' and column_name = 'description' and is_nullable = 'NO' order by name`,
    );
    expect(tables.map(({ name }) => name)).toEqual(Object.keys(ENUM_OF));
    for (const [table, [type, column]] of Object.entries(ENUM_OF)) {
      const { rows } = await db.pool.query(
        `select upper(${column}) as name from bookpost.${table} order by name`,
      );
      const found = schema.getType(type);
      const values = isEnumType(found) ? found.getValues() : [];
      expect(values.map(({ name }) => name)).toEqual(rows.map(({ name }) => name));
      expect(values.map(({ description }) => description)).not.toContain(undefined);
    }
  });

  it("names its own fields in descriptions, and not the database's columns and functions", () => {
    const descriptions = KEPT.match(/""".*?"""/gs) ?? [];
    const inSql = descriptions.flatMap((text) => text.match(/\b[a-z0-9]+(?:_[a-z0-9]+)+\b/g) ?? []);
    // A value: who said so, where no carrier did.
    expect(new Set(inSql)).toEqual(new Set(["by_hand"]));
    expect(KEPT).toContain("What it is insured for, in declaredCurrency (ISO 4217");
  });

  it("takes its descriptions from the database's comments", () => {
    expect(KEPT).toContain("The carrier's own words for its present state.");
    expect(KEPT).toContain("When the carrier is asked next; null: not at all.");
    expect(KEPT).toContain("Announced to the carrier, not handed over yet.");
  });
});

describe("from one thing to the next", () => {
  it("a book leads to its parcels, straight and through the relation", async () => {
    const { book } = await ask(
      `query ($id: UUID!) { book(id: $id) {
         id title owner { name }
         parcels { nodes { id } edges { startedAt stoppedAt node { trackingNumber } } }
         parcelBooks { nodes { startedAt parcel { id } book { id } } }
         notifications { nodes { status } }
       } }`,
      { id: seeded.bookId },
    );
    expect(book).toMatchObject({
      id: seeded.bookId,
      title: "Ulysses",
      owner: { name: "Ada" },
      parcels: {
        nodes: [{ id: seeded.parcelId }],
        edges: [{ stoppedAt: null, node: { trackingNumber: "1Z999AA10123456784" } }],
      },
      parcelBooks: { nodes: [{ parcel: { id: seeded.parcelId }, book: { id: seeded.bookId } }] },
      notifications: { nodes: [{ status: "IN_TRANSIT" }] },
    });
  });

  it("a parcel leads to its books, carrier and scans, and says when it was looked at", async () => {
    const { parcel } = await ask(
      `query ($id: UUID!) { parcel(id: $id) {
         status trackingPage lastLookedAt nextLookAt didLastLookWork
         books { nodes { title } }
         carrier { code name carrierCircuit { state } api { name carrierCircuit { apiCode } } }
         trackingEvents { nodes { rawCode status parcel { id } } }
       } }`,
      { id: seeded.parcelId },
    );
    expect(parcel).toEqual({
      status: "PENDING",
      trackingPage: expect.stringContaining("trackNums=1Z999AA10123456784"),
      lastLookedAt: null,
      nextLookAt: expect.stringMatching(/^\d{4}-.*\+00:00$/),
      didLastLookWork: null,
      books: { nodes: [{ title: "Ulysses" }] },
      carrier: {
        code: "ups",
        name: "UPS",
        carrierCircuit: { state: "CLOSED" },
        api: { name: "UPS Tracking", carrierCircuit: { apiCode: "ups" } },
      },
      trackingEvents: {
        nodes: [
          { rawCode: "I", status: "IN_TRANSIT", parcel: { id: seeded.parcelId } },
          { rawCode: "I", status: "IN_TRANSIT", parcel: { id: seeded.parcelId } },
        ],
      },
    });
  });

  it("carriers, their APIs and circuits are found by code", async () => {
    const data = await ask(`{
      carrier(code: "parcelforce") { name apiCode carrierCircuit { state } }
      carrierApi(code: "dhl") { callsPerDay limits { nodes { calls callWindow { seconds } } } carriers { nodes { code } } }
      carrierCircuit(apiCode: "dhl") { state openUntil api { code } }
    }`);
    expect(data).toEqual({
      carrier: { name: "Parcelforce", apiCode: null, carrierCircuit: null },
      carrierApi: {
        callsPerDay: 250,
        limits: { nodes: [{ calls: 1, callWindow: { seconds: 5 } }] },
        carriers: { nodes: [{ code: "dhl" }] },
      },
      carrierCircuit: { state: "CLOSED", openUntil: null, api: { code: "dhl" } },
    });
  });

  it("a notification leads to its book, parcel and person", async () => {
    const { notifications } = await ask(
      "{ notifications { totalCount nodes { kind book { title } parcel { id } user { name } readAt } } }",
    );
    expect(notifications).toEqual({
      totalCount: 1,
      nodes: [
        {
          kind: "STAGE",
          book: { title: "Ulysses" },
          parcel: { id: seeded.parcelId },
          user: { name: "Ada" },
          readAt: null,
        },
      ],
    });
  });

  it("a book is found by the app's own id of it", async () => {
    const owner = await seedUser(db.pool, "Ben");
    await db.pool.query(
      "select bookpost.track_book('Emma', 'ups', '1Z999AA10123456799', owner => $1, app_book_id => 'b-7')",
      [owner],
    );
    const { bookByAppBookId } = await ask(
      `query ($owner: UUID!) { bookByAppBookId(ownerId: $owner, appBookId: "b-7") { title } }`,
      { owner },
    );
    expect(bookByAppBookId).toEqual({ title: "Emma" });
  });

  it("times without a zone stay without one", async () => {
    await db.pool.query(
      `update bookpost.parcels set status = 'delivered', delivered_local_time = '2025-08-27 14:05:00'
       where id = $1`,
      [seeded.parcelId],
    );
    const { parcel } = await ask(
      "query ($id: UUID!) { parcel(id: $id) { status deliveredAt deliveredLocalTime createdAt } }",
      { id: seeded.parcelId },
    );
    expect(parcel).toEqual({
      status: "DELIVERED",
      deliveredAt: null,
      deliveredLocalTime: "2025-08-27T14:05:00.000000",
      createdAt: expect.stringMatching(/\+00:00$/),
    });
  });
});
