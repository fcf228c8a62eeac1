import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { seedBook, seedUser } from "../seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "../startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
let token: string;

/** As Postgres quotes what it refused. */
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
     language plpgsql as $$ begin ${body}; return 'page'; end; $$`,
  );
}

const QUESTION = "{ parcels { nodes { trackingPage } } }";

/** What no client may read: names of the schema, SQL, values, places in code. */
const TELLTALE =
  /442079460123|\bselect\b|\binsert\b|bookpost\.|users|phone|parcels_|_fkey|_idx|is_e164|relation|column|constraint|function|PL\/pgSQL|postgres|node_modules|\.[jt]s:/i;

/** An answer without the places in the document, which speak of columns. */
const told = (text: string) => text.replaceAll(/"locations":\[[^\]]*\],/g, "");

/** A code of every class of Postgres' manual, appendix A, that an error can have; and what a client gets. */
const BY_CLASS: readonly (readonly [sqlstate: string, code: string])[] = [
  ["03000", "INTERNAL"],
  ["08006", "UNAVAILABLE"],
  ["09000", "INTERNAL"],
  ["0A000", "RETRY"],
  ["0B000", "INTERNAL"],
  ["0F001", "INTERNAL"],
  ["0L000", "INTERNAL"],
  ["0P000", "INTERNAL"],
  ["0Z002", "INTERNAL"],
  ["10608", "INTERNAL"],
  ["20000", "INTERNAL"],
  ["21000", "INTERNAL"],
  ["22012", "BAD_INPUT"],
  ["23000", "INTERNAL"],
  ["23502", "BAD_INPUT"],
  ["23503", "BAD_INPUT"],
  ["23505", "CONFLICT"],
  ["23514", "BAD_INPUT"],
  ["23P01", "INTERNAL"],
  ["24000", "INTERNAL"],
  ["25006", "INTERNAL"],
  ["26000", "INTERNAL"],
  ["27000", "INTERNAL"],
  ["28000", "UNAVAILABLE"],
  ["2B000", "INTERNAL"],
  ["2D000", "INTERNAL"],
  ["2F005", "INTERNAL"],
  ["34000", "INTERNAL"],
  ["38000", "INTERNAL"],
  ["39000", "INTERNAL"],
  ["3B001", "INTERNAL"],
  ["3D000", "UNAVAILABLE"],
  ["3F000", "INTERNAL"],
  ["40001", "RETRY"],
  ["40P01", "RETRY"],
  ["42501", "FORBIDDEN"],
  ["42601", "INTERNAL"],
  ["42703", "INTERNAL"],
  ["42883", "INTERNAL"],
  ["42P01", "INTERNAL"],
  ["44000", "INTERNAL"],
  ["53100", "UNAVAILABLE"],
  ["54001", "INTERNAL"],
  ["55P03", "RETRY"],
  ["57014", "TIMEOUT"],
  ["57P01", "UNAVAILABLE"],
  ["58030", "INTERNAL"],
  ["72000", "INTERNAL"],
  ["F0000", "INTERNAL"],
  ["HV000", "INTERNAL"],
  ["P0001", "INTERNAL"],
  ["P0004", "INTERNAL"],
  ["XX000", "INTERNAL"],
];

describe("an error of the database tells nothing of it", () => {
  it.each(BY_CLASS)("%s is told as %s", async (sqlstate, code) => {
    await trackingPageDoes(
      `raise exception using errcode = '${sqlstate}', message = 'select phone_number: Key (phone)=(${SECRET}) in bookpost.users',
         detail = '${SECRET}', hint = '${SECRET}', column = 'phone_number', constraint = 'users_phone_number_is_e164',
         datatype = 'text', table = 'users', schema = 'bookpost'`,
    );
    const before = api.log.length;
    const { body, text } = await api.query(QUESTION, { token });
    expect(body.errors).toHaveLength(1);
    expect(body.errors[0].extensions.code).toBe(code);
    expect(told(text)).not.toMatch(TELLTALE);
    expect(api.log.slice(before).join()).not.toContain(SECRET);
  });

  it.each([
    ["a check", "update bookpost.users set phone_number = '0'"],
    ["a uniqueness", "insert into bookpost.users (app_user_id) values ('Ada')"],
    ["a foreign key", "delete from bookpost.parcel_statuses"],
    ["what may not be null", "update bookpost.users set language = null"],
    ["a table that is not there", "perform 1 from bookpost.nothing"],
    ["a column that is not there", "perform nothing from bookpost.users"],
    ["a text that is no number", `perform '${SECRET} x'::integer`],
    ["a division by nothing", "perform 1 / 0"],
    ["a recursion without an end", "perform bookpost.parcels_tracking_page(parcel)"],
    ["a right that is lacking", "perform 1 from bookpost_private.leases"],
  ])("that Postgres itself raises: %s", async (_what, statement) => {
    await trackingPageDoes(statement);
    const { body, text } = await api.query(QUESTION, { token });
    expect(body.errors).toHaveLength(1);
    expect(body.errors[0].message).toMatch(/^[A-Z][^.]+\./);
    expect(told(text)).not.toMatch(TELLTALE);
    expect(api.log.join()).not.toContain(SECRET);
  });
});
