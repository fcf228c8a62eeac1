import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { seedBook, seedUser } from "./seedBooks.ts";
import { signToken, startTestApi, type TestApi } from "./startTestApi.ts";

let db: TestDatabase;
let api: TestApi;

beforeAll(async () => {
  db = await createTestDatabase();
  api = await startTestApi(db);
});

afterAll(async () => {
  await api?.stop();
  await db?.drop();
});

const NOBODY = "00000000-0000-4000-8000-000000000000";

async function makeToken(name: string): Promise<{ userId: string; url: string }> {
  const userId = await seedUser(db.pool, name);
  const { rows } = await db.pool.query<{ token: string }>(
    `insert into bookpost_private.unsubscribe_tokens (user_id) values ($1)
     on conflict (user_id) do update set user_id = excluded.user_id returning token`,
    [userId],
  );
  return { userId, url: `${api.url}/unsubscribe/${rows[0]?.token}` };
}

async function optedOutAt(userId: string): Promise<Date | null> {
  const { rows } = await db.pool.query(
    "select email_opted_out_at as at from bookpost.users where id = $1",
    [userId],
  );
  return rows[0].at;
}

it("a look at the link changes nothing and shows a button that posts", async () => {
  const { userId, url } = await makeToken("looker");
  const response = await fetch(url);
  const page = await response.text();
  expect(response.status).toBe(200);
  expect(page).toContain('<form method="post">');
  expect((await fetch(url, { method: "HEAD" })).status).toBe(200);
  expect(await optedOutAt(userId)).toBeNull();
});

it("a POST with one click ends the emails, and once more changes nothing", async () => {
  const { userId, url } = await makeToken("clicker");
  const init = { method: "POST", body: new URLSearchParams({ "List-Unsubscribe": "One-Click" }) };
  expect((await fetch(url, init)).status).toBe(200);
  const first = await optedOutAt(userId);
  expect(first).not.toBeNull();
  expect((await fetch(url, init)).status).toBe(200);
  expect(await optedOutAt(userId)).toEqual(first);
});

it("a token that nobody has is told so", async () => {
  const response = await fetch(`${api.url}/unsubscribe/${NOBODY}`, { method: "POST" });
  expect(response.status).toBe(404);
  expect(await response.text()).toContain("nothing was changed");
});

it.each(["", "x", `${NOBODY}/`, "%30", "1' or 1=1"])("no token is no page: %s", async (token) => {
  const response = await fetch(`${api.url}/unsubscribe/${token}`, { method: "POST" });
  expect(response.status).toBe(404);
});

it.each(["PUT", "DELETE", "OPTIONS"])("there is no %s", async (method) => {
  const response = await fetch(`${api.url}/unsubscribe/${NOBODY}`, { method });
  expect(response.status).toBe(405);
});

it("the page can be framed, kept and read by nobody else", async () => {
  const { headers } = await fetch(`${api.url}/unsubscribe/${NOBODY}`);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("cache-control")).toBe("no-store");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  expect(headers.get("access-control-allow-origin")).toBeNull();
});

it("a body beyond 50 kB is refused", async () => {
  const body = "x".repeat(50_001);
  const response = await fetch(`${api.url}/unsubscribe/${NOBODY}`, { method: "POST", body });
  expect(response.status).toBe(413);
});

it("a notification has its sentence, for its member and for the operator", async () => {
  const owner = await seedUser(db.pool, "reader");
  await seedBook(db.pool, { owner, title: "Dune \u202e", number: "1Z999AA10123456784" });
  await db.pool.query(
    `insert into bookpost.notifications (user_id, book_id, parcel_id, kind, status, status_version, notice_version, estimated_until, is_estimate_a_date, created_at)
     select user_id, book_id, parcel_id, 'estimate', status, 1, 1, '2025-08-27', true, '2020-01-01Z' from bookpost.notifications where user_id = $1`,
    [owner],
  );
  const question = "{ notifications { nodes { message } } }";
  for (const role of ["bookpost_member", "bookpost_operator"]) {
    const { body } = await api.query(question, { token: await signToken(role, owner) });
    expect(body).toEqual({
      data: {
        notifications: {
          nodes: [
            { message: "Your book 'Dune' is now: in transit" },
            {
              message: expect.stringMatching(
                /^Your book 'Dune' is now expected: .*27 August 2025$/,
              ),
            },
          ],
        },
      },
    });
  }
});
