import { SignJWT } from "jose";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { until } from "../helpers/until.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;
let operator: string;

beforeAll(async () => {
  db = await createTestDatabase();
  // Tells the time that a statement may take; everybody may ask for it.
  await db.pool.query(
    `create function bookpost.carriers_patience(carrier bookpost.carriers) returns text
       language sql stable return current_setting('statement_timeout');
     grant execute on function bookpost.carriers_patience(bookpost.carriers) to bookpost_visitor, bookpost_member, bookpost_operator`,
  );
  api = await startTestApi(db);
  operator = await signToken("bookpost_operator");
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

describe("a statement may take", () => {
  it.each([
    ["bookpost_visitor", "1s"],
    ["bookpost_member", "3s"],
    ["bookpost_operator", "4s"],
  ])("as %s at most %s", async (role, patience) => {
    const token = role === "bookpost_visitor" ? undefined : await signToken(role);
    const { body } = await api.query('{ carrier(code: "ups") { patience } }', {
      ...(token && { token }),
    });
    expect(body).toEqual({ data: { carrier: { patience } } });
  });

  it("15 seconds at most for whoever logs in as the API, whatever it becomes", async () => {
    const client = new pg.Client(db.apiUrl);
    await client.connect();
    const { rows: before } = await client.query("show statement_timeout");
    await client.query("set role bookpost_operator");
    const { rows: after } = await client.query("show statement_timeout");
    const { rows: idle } = await client.query("show idle_in_transaction_session_timeout");
    await client.end();
    expect([...before, ...after, ...idle]).toEqual([
      { statement_timeout: "15s" },
      { statement_timeout: "15s" },
      { idle_in_transaction_session_timeout: "15s" },
    ]);
  });
});

describe("health", () => {
  it("is well while every connection for questions is busy", async () => {
    await db.pool.query(
      `create or replace function bookpost.parcels_tracking_page(parcel bookpost.parcels) returns text
       language plpgsql stable as $$ begin perform pg_advisory_xact_lock(8); return 'page'; end; $$`,
    );
    const owner = await seedUser(db.pool, "Ada");
    await seedBook(db.pool, { owner, title: "Ulysses", number: "1Z999AA10123456784" });
    const holder = await db.pool.connect();
    await holder.query("begin; select pg_advisory_xact_lock(8)");
    const asked = Array.from({ length: 12 }, () =>
      api.query("{ parcels { nodes { trackingPage } } }", { token: operator }),
    );
    await until("ten questions wait in the database", async () => {
      const { rowCount } = await holder.query(
        "select from pg_locks where locktype = 'advisory' and objid = 8 and not granted",
      );
      return rowCount === 10;
    });
    const health = await fetch(`${api.url}/health`);
    expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
    await holder.query("commit");
    holder.release();
    for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
  });
});

it("a token that says when it expires is good to that second and half a minute more, not longer", async () => {
  const now = Math.floor(Date.now() / 1000);
  const sign = (exp: number) =>
    new SignJWT({ role: "bookpost_operator", sub: "00000000-0000-4000-8000-000000000000", exp })
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode("a secret for tests, 32 letters or more"));
  expect((await api.query("{ __typename }", { token: await sign(now - 10) })).status).toBe(200);
  expect((await api.query("{ __typename }", { token: await sign(now - 45) })).status).toBe(401);
});
