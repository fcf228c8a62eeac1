import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPool } from "../../src/db/pool.ts";
import { createApiService } from "../../src/graphql/apiService.ts";
import { createTestDatabase, type TestDatabase } from "../helpers/database.ts";
import { seedBook, seedUser } from "./seedBooks.ts";

let db: TestDatabase;
/** One connection for everyone. */
let pool: pg.Pool;
let withPgClient: Awaited<ReturnType<typeof connect>>;
const people: Record<"Ada" | "Ben", string> = { Ada: "", Ben: "" };

function connect() {
  const { adaptor, adaptorSettings } = createApiService(pool);
  return adaptor.createWithPgClient(adaptorSettings);
}

beforeAll(async () => {
  db = await createTestDatabase();
  for (const name of ["Ada", "Ben"] as const) {
    people[name] = await seedUser(db.pool, name);
    await seedBook(db.pool, { owner: people[name], title: name, number: "1Z999AA10123456784" });
  }
  pool = createPool(db.apiUrl, "api", { max: 1 });
  withPgClient = await connect();
});

afterAll(async () => {
  await pool?.end();
  await db?.drop();
});

const as = (name: "Ada" | "Ben") => ({
  role: "bookpost_member",
  "bookpost.user_id": people[name],
});

/** What PostGraphile names it reads by `readAlone`. */
function read(settings: Record<string, string>, text: string, name: string) {
  return withPgClient(settings, (client) => client.query<Record<string, unknown>>({ text, name }));
}

const WHO = `select current_user::text as role, current_setting('bookpost.user_id', true) as user,
  array(select title from bookpost.books) as titles, current_setting('transaction_read_only') as is_read_only`;

describe("on one connection for everyone", () => {
  it("each read runs as its own person, also behind reads that fail in every way", async () => {
    const failures = [
      () => read(as("Ben"), "select 1 / (select 0)", "fails as it runs"),
      () => read(as("Ben"), "select nonsense", "cannot be parsed"),
      () => read(as("Ben"), "insert into bookpost.books default values", "may not write"),
      () => read({ ...as("Ben"), role: "nobody_of_that_name" }, WHO, "who, as nobody"),
      () => read({ ...as("Ben"), role: "bookpost" }, WHO, "who, as the owner"),
      () => read({ ...as("Ben"), statement_timeout: "20" }, "select pg_sleep(5)", "too slow"),
    ];
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, i) => {
        const name: keyof typeof people = i % 2 === 0 ? "Ada" : "Ben";
        const refused = await failures[i % failures.length]?.().then(
          () => "was not refused",
          () => "refused",
        );
        const { rows } = await read(as(name), WHO, "who");
        return { name, refused, row: rows[0] };
      }),
    );
    for (const { name, refused, row } of answers) {
      expect(refused).toBe("refused");
      expect(row).toEqual({
        role: "bookpost_member",
        user: people[name],
        titles: [name],
        is_read_only: "on",
      });
    }
  });

  it("nothing is left of a person when her transaction has ended", async () => {
    await read(as("Ada"), WHO, "who");
    const { rows } = await pool.query(
      "select current_user::text as role, nullif(current_setting('bookpost.user_id', true), '') as user",
    );
    expect(rows).toEqual([{ role: "bookpost_authenticator", user: null }]);
  });

  it("a statement whose settings were refused has not run", async () => {
    const error = await read({ role: "nobody_of_that_name" }, WHO, "who").catch((e) => e);
    // The setting's own error, not that of the statement behind it (25P02).
    expect(error.code).toBe("22023");
  });

  it("a value with quotes in it is a value", async () => {
    const odd = `it's "odd" \\ ; rollback`;
    const { rows } = await read(
      { role: "bookpost_visitor", "bookpost.odd": odd },
      "select current_setting('bookpost.odd') as odd, current_user::text as role",
      "odd",
    );
    expect(rows).toEqual([{ odd, role: "bookpost_visitor" }]);
  });
});

describe("what is no read", () => {
  it("is one transaction that may write, and is rolled back when its work fails", async () => {
    const { rows } = await withPgClient(as("Ada"), async (client) => {
      await client.query({ text: "select set_config('bookpost.mark', 'here', true)" });
      // Also a named one, once a transaction is open.
      return client.query<{ mark: string; mode: string }>({
        text: "select current_setting('bookpost.mark') as mark, current_setting('transaction_read_only') as mode",
        name: "mark",
      });
    });
    expect(rows).toEqual([{ mark: "here", mode: "off" }]);
    const failing = withPgClient(as("Ada"), (client) =>
      client.withTransaction(async (inner) => {
        await inner.query({ text: "select 1" });
        throw new Error("no");
      }),
    );
    await expect(failing).rejects.toThrow("no");
    const { rows: after } = await read(as("Ben"), WHO, "who");
    expect(after[0]).toMatchObject({ titles: ["Ben"] });
  });
});

it("a connection gives up the statements it used longest ago, and takes them up again", async () => {
  for (let n = 0; n < 130; n++) await read(as("Ada"), `select ${n}::integer as n`, `number ${n}`);
  const { rows } = await pool.query<{ count: number }>(
    "select count(*)::integer as count from pg_prepared_statements",
  );
  expect(rows[0]?.count).toBeLessThanOrEqual(101);
  expect((await read(as("Ada"), "select 0::integer as n", "number 0")).rows).toEqual([{ n: 0 }]);
});
