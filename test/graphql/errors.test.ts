import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { until } from "../helpers/until.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
let token: string;

/** What must not reach a client or a log, as Postgres would quote it. */
const SECRET = "+442079460123";

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
  token = await signToken("bookpost_operator");
  const owner = await seedUser(db.pool, "Ada");
  await seedBook(db.pool, { owner, title: "Ulysses", number: "1Z999AA10123456784" });
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

/** From now on, asking for a parcel's trackingPage runs this. */
async function trackingPageDoes(body: string): Promise<void> {
  await db.pool.query(
    `create or replace function bookpost.parcels_tracking_page(parcel bookpost.parcels) returns text
     language plpgsql stable as $$ begin ${body}; return 'page'; end; $$`,
  );
}

const QUESTION = "{ parcels { nodes { trackingNumber trackingPage } } }";

describe("an error of the database", () => {
  it.each([
    ["22P02", "BAD_INPUT"],
    ["23505", "CONFLICT"],
    ["23514", "BAD_INPUT"],
    ["42501", "FORBIDDEN"],
    ["40001", "RETRY"],
    ["40P01", "RETRY"],
    ["53300", "UNAVAILABLE"],
    ["P0001", "INTERNAL"],
    ["42P01", "INTERNAL"],
    ["XX000", "INTERNAL"],
  ])("%s becomes %s, with a sentence of ours and nothing of its own", async (sqlstate, code) => {
    await trackingPageDoes(
      `raise exception using errcode = '${sqlstate}', message = 'Key (phone)=(${SECRET}) exists', detail = '${SECRET}', hint = '${SECRET}'`,
    );
    const { body, text } = await api.query(QUESTION, { token });
    expect(body.errors).toHaveLength(1);
    expect(body.errors[0]).toMatchObject({ path: ["parcels"], extensions: { code } });
    expect(text + api.log.join()).not.toMatch(/442079460123|select|bookpost\.|phone/i);
  });

  it("of a bug is found in the log by the id that the client got", async () => {
    await trackingPageDoes("perform 1 / 0");
    const known = await api.query(QUESTION, { token });
    expect(known.body.errors[0].extensions).toEqual({ code: "BAD_INPUT" });
    await trackingPageDoes(`raise exception '${SECRET}'`);
    const { body } = await api.query(QUESTION, { token });
    const { id } = body.errors[0].extensions;
    expect(api.log.filter((line) => line.includes(id))).toEqual([
      `API error ${id}: INTERNAL at parcels: error P0001`,
    ]);
  });

  it.each([
    ["BP400", "BAD_INPUT"],
    ["BP404", "NOT_FOUND"],
    ["BP409", "CONFLICT"],
    ["BP410", "CURSOR_EXPIRED"],
  ])("%s of ours comes through as we wrote it", async (sqlstate, code) => {
    await trackingPageDoes(
      `raise exception using errcode = '${sqlstate}', message = 'There is no such book.', hint = 'Track it first.', detail = '${SECRET}'`,
    );
    const { body, text } = await api.query(QUESTION, { token });
    expect(body.errors[0]).toMatchObject({
      message: "There is no such book.",
      extensions: { code, hint: "Track it first." },
    });
    expect(text).not.toContain(SECRET);
  });
});

it.each(["nonsense", Buffer.from('["another order",1]').toString("base64")])(
  "a cursor that is none of ours has a code like every error of an input: %s",
  async (after) => {
    const { body } = await api.query(
      "query ($after: Cursor) { books(after: $after) { nodes { id } } }",
      {
        token,
        variables: { after },
      },
    );
    expect(body.errors).toMatchObject([{ path: ["books"], extensions: { code: "BAD_INPUT" } }]);
  },
);

it("a statement that hangs is ended, and its connection is of use again", async () => {
  await trackingPageDoes("perform pg_sleep(60)");
  const { body } = await api.query(QUESTION, { token });
  expect(body.errors[0].extensions).toMatchObject({ code: "TIMEOUT" });
  await trackingPageDoes("null");
  const after = await api.query(QUESTION, { token });
  expect(after.body.data.parcels.nodes).toEqual([
    { trackingNumber: "1Z999AA10123456784", trackingPage: "page" },
  ]);
});

describe("an altered column", () => {
  beforeEach(async () => {
    await trackingPageDoes("null");
  });

  it("fails one question, not every one after it", async () => {
    const question = "{ carrierApis(first: 1) { nodes { name } } }";
    expect((await api.query(question, { token })).body.errors).toBeUndefined();
    await db.pool.query("alter table bookpost.carrier_apis alter column name type varchar(500)");
    const { body } = await api.query(question, { token });
    expect(body.errors?.[0].extensions).toEqual({ code: "RETRY" });
    expect((await api.query(question, { token })).body).toEqual({
      data: { carrierApis: { nodes: [{ name: expect.any(String) }] } },
    });
  });
});

it("connections that Postgres ends are replaced, and the API goes on", async () => {
  expect((await api.query(QUESTION, { token })).status).toBe(200);
  const admin = new pg.Client(db.adminUrl);
  await admin.connect();
  const { rowCount } = await admin.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bookpost api' and datname = current_database()",
  );
  await admin.end();
  expect(rowCount).toBeGreaterThan(0);
  await until("the API answers again", async () => {
    const { body } = await api.query(QUESTION, { token });
    return body.data?.parcels?.nodes?.length === 1;
  });
});
