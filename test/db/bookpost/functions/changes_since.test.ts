import fc from "fast-check";
import type pg from "pg";
import { describe, expect, test } from "vitest";
import type { Queryable } from "../../../../src/db/withTransaction.ts";
import { apiClient } from "../../../helpers/apiClient.ts";
import { changesSince, latestCursor, readOn } from "../../../helpers/changes.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { openClient, openClients } from "../../../helpers/openClient.ts";
import { refusalOf, tryOut } from "../../../helpers/refusal.ts";
import { runCount } from "../../../helpers/runCount.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { until } from "../../../helpers/until.ts";

const db = testDatabase();

/** A client that has begun a transaction and has its id already. */
async function begun(): Promise<pg.Client> {
  const client = await openClient(db.url);
  await client.query("begin");
  await client.query("select pg_current_xact_id()");
  return client;
}

async function addBook(client: Queryable, owner: string): Promise<string> {
  const { id } = await one<{ id: string }>(
    client,
    "insert into bookpost.books (owner_id, title) values ($1, 'A book') returning id",
    [owner],
  );
  return id;
}

const booksOf = (told: { changes: readonly { bookId: string | null }[] }) =>
  told.changes.map(({ bookId }) => bookId);

test("a change that is committed late, with an older transaction id than what was read, is told", async () => {
  const owner = await makeUser(db.pool);
  const late = await begun();
  const early = await begun();
  const first = await addBook(early, owner);
  const cursor = await latestCursor(db.pool);
  await early.query("commit");
  const one = await readOn(db.pool, cursor);
  expect(booksOf(one)).toEqual([first]);
  const second = await addBook(late, owner);
  await late.query("commit");
  const two = await readOn(db.pool, one.cursor);
  expect(booksOf(two)).toEqual([second]);
  expect(booksOf(await readOn(db.pool, two.cursor))).toEqual([]);
});

test("a change with a younger id and an older transaction id is told, and holds up nobody", async () => {
  const owner = await makeUser(db.pool);
  const cursor = await latestCursor(db.pool);
  const [older, younger] = [await begun(), await begun()];
  const first = await addBook(younger, owner);
  const second = await addBook(older, owner);
  await younger.query("commit");
  const one = await readOn(db.pool, cursor);
  expect(booksOf(one)).toEqual([first]);
  await older.query("commit");
  expect(booksOf(await readOn(db.pool, one.cursor))).toEqual([second]);
});

test("what is rolled back is not told, and what comes after it is", async () => {
  const owner = await makeUser(db.pool);
  const cursor = await latestCursor(db.pool);
  const [lost, kept] = [await begun(), await begun()];
  await addBook(lost, owner);
  const book = await addBook(kept, owner);
  await lost.query("rollback");
  await kept.query("commit");
  expect(booksOf(await readOn(db.pool, cursor))).toEqual([book]);
});

test("a change of a subtransaction is told with the whole", async () => {
  const owner = await makeUser(db.pool);
  const cursor = await latestCursor(db.pool);
  const client = await begun();
  await client.query("savepoint inner_one");
  const book = await addBook(client, owner);
  await client.query("release savepoint inner_one");
  expect(booksOf(await readOn(db.pool, cursor))).toEqual([]);
  await client.query("commit");
  expect(booksOf(await readOn(db.pool, cursor))).toEqual([book]);
});

test("pages of every size give all changes once, also what is committed between two pages, after the others", async () => {
  const owner = await makeUser(db.pool);
  const cursor = await latestCursor(db.pool);
  const books: string[] = [];
  for (const count of [1, 3, 2]) {
    const client = await begun();
    for (let i = 0; i < count; i++) books.push(await addBook(client, owner));
    await client.query("commit");
  }
  for (let first = 1; first <= 8; first++) {
    const page = await changesSince(db.pool, cursor, first);
    expect(page.hasNextPage).toBe(first < books.length);
    const meanwhile = await addBook(db.pool, owner);
    const rest = await readOn(db.pool, page.endCursor, first);
    books.push(meanwhile);
    expect([...booksOf(page), ...booksOf(rest)]).toEqual(books);
  }
});

test("the last page of those that were there says that more came meanwhile, and says nothing where none did", async () => {
  const owner = await makeUser(db.pool);
  const cursor = await latestCursor(db.pool);
  await addBook(db.pool, owner);
  await addBook(db.pool, owner);
  const page = await changesSince(db.pool, cursor, 1);
  expect(await changesSince(db.pool, page.endCursor, 1)).toMatchObject({ hasNextPage: false });
  const meanwhile = await addBook(db.pool, owner);
  const last = await changesSince(db.pool, page.endCursor, 1);
  expect(last.hasNextPage).toBe(true);
  expect(booksOf(await readOn(db.pool, last.endCursor))).toEqual([meanwhile]);
});

test("every change's own cursor leads on to the next", async () => {
  const owner = await makeUser(db.pool);
  const cursor = await latestCursor(db.pool);
  for (let i = 0; i < 4; i++) await addBook(db.pool, owner);
  const all = await changesSince(db.pool, cursor);
  for (const [i, change] of all.changes.entries())
    expect(booksOf(await readOn(db.pool, change.cursor, 1))).toEqual(booksOf(all).slice(i + 1));
});

test("a page of none stays where it is", async () => {
  const owner = await makeUser(db.pool);
  const cursor = await latestCursor(db.pool);
  const book = await addBook(db.pool, owner);
  const page = await changesSince(db.pool, cursor, 0);
  expect(page).toEqual({ changes: [], endCursor: cursor, hasNextPage: true });
  expect(booksOf(await readOn(db.pool, page.endCursor))).toEqual([book]);
});

test("without a cursor all is told that is kept", async () => {
  const owner = await makeUser(db.pool);
  const book = await addBook(db.pool, owner);
  const member = await apiClient(db, { role: "bookpost_member", userId: owner });
  expect(booksOf(await readOn(member, null, 1))).toEqual([book]);
});

test("a cursor counts as read no transaction after the last that told a change: a crash could give its id out again", async () => {
  const owner = await makeUser(db.pool);
  await addBook(db.pool, owner);
  await db.pool.query("select pg_current_xact_id()");
  await db.pool.query("select pg_current_xact_id()");
  const { bound, told } = await one<{ bound: string; told: string }>(
    db.pool,
    "select pg_snapshot_xmax(bookpost.present_snapshot()) as bound, max(xid) as told from bookpost.changes",
  );
  expect(BigInt(bound)).toBe(BigInt(told) + 1n);
});

test("a cursor outlives the changes that it was given out after", async () => {
  const owner = await makeUser(db.pool);
  const gone = await makeUser(db.pool);
  await addBook(db.pool, gone);
  const cursor = await latestCursor(db.pool);
  await db.pool.query("delete from bookpost.users where id = $1", [gone]);
  const page = await readOn(db.pool, cursor);
  expect(page.changes).toEqual([]);
  const book = await addBook(db.pool, owner);
  expect(booksOf(await readOn(db.pool, page.cursor))).toEqual([book]);
});

describe("who reads", () => {
  test("a member reads her own changes and an operator all, by the same cursor", async () => {
    const [ada, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
    const cursor = await latestCursor(db.pool);
    const adas = await addBook(db.pool, ada);
    const bens = await addBook(db.pool, ben);
    const member = await apiClient(db, { role: "bookpost_member", userId: ada });
    const operator = await apiClient(db, { role: "bookpost_operator" });
    const nobody = await apiClient(db, { role: "bookpost_member" });
    expect(booksOf(await readOn(member, cursor, 1))).toEqual([adas]);
    expect(booksOf(await readOn(operator, cursor, 1))).toEqual([adas, bens]);
    expect(booksOf(await readOn(nobody, cursor))).toEqual([]);
  });

  test("another's cursor tells a member nothing that is not hers", async () => {
    const [ada, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
    await addBook(db.pool, ada);
    await addBook(db.pool, ben);
    const bens = await apiClient(db, { role: "bookpost_member", userId: ben });
    const { changes } = await readOn(bens, null);
    const adas = await apiClient(db, { role: "bookpost_member", userId: ada });
    const told = await readOn(adas, changes[0]?.cursor ?? "");
    expect(told.changes.filter(({ userId }) => userId !== ada)).toEqual([]);
  });

  test("a visitor reads none and gets no cursor", async () => {
    const visitor = await apiClient(db, { role: "bookpost_visitor" });
    for (const sql of [
      "select * from bookpost.changes_since(null, 1)",
      "select bookpost.latest_cursor()",
      "select * from bookpost.changes",
    ])
      expect(await tryOut(visitor, sql), sql).toMatchObject({ code: "42501" });
  });
});

describe("a cursor that is none", () => {
  const encode = (text: string) => Buffer.from(text).toString("base64url");

  test.each([
    "",
    "nonsense",
    "====",
    "Zm9v YmFy",
    encode("1"),
    encode("1|2"),
    encode("1.1|5:3:"),
    encode("1.1|3:3:|4:4:"),
    encode("1.1|3:3:|4:4:|x|1"),
    encode("1.1|3:3:|4:4:|1|99999999999999999999"),
    encode("1.1|3:3:|4:4:|1|1|1"),
    encode("|3:3:x"),
    Buffer.from([0xff, 0xfe, 0x7c]).toString("base64url"),
    Buffer.from([0x31, 0x00, 0x7c]).toString("base64url"),
    "A".repeat(40_000),
  ])("is refused with a sentence, as number %#", async (cursor) => {
    const refusal = await refusalOf(changesSince(db.pool, cursor));
    expect(refusal).toMatchObject({ code: "BP400", hint: expect.stringContaining("latestCursor") });
    expect(refusal?.message.length).toBeLessThan(100);
  });

  test.each([-1, 1001, null])("a page of %s is refused", async (first) => {
    const refusal = await refusalOf(
      db.pool.query("select * from bookpost.changes_since(null, $1)", [first]),
    );
    expect(refusal).toMatchObject({ code: "BP400" });
  });

  test.each([
    ["of another server", "1.1|3:3:"],
    ["of a former timeline", `$history0|3:3:`],
    ["that has seen more than there is", "$history|9000000000:9000000000:"],
  ])("%s has expired", async (_what, text) => {
    const { history } = await one<{ history: string }>(
      db.pool,
      "select bookpost.history_id() as history",
    );
    const cursor = encode(text.replace("$history", history));
    expect(await refusalOf(changesSince(db.pool, cursor))).toMatchObject({
      code: "BP410",
      hint: expect.stringContaining("read everything anew"),
    });
  });
});

describe("what is old", () => {
  test("goes after 30 days; a cursor from before has expired, one from after it has not", async () => {
    const client = await rolledBack(db);
    const owner = await makeUser(db.pool);
    await addBook(db.pool, owner);
    const before = await latestCursor(client);
    const old = await addBook(db.pool, owner);
    // A cursor goes back to the oldest transaction under way on the whole server, whosever it is.
    await until("what was under way before is over", async () => {
      const { rows } = await client.query<{ over: boolean }>(
        `select pg_snapshot_xmin(pg_current_snapshot()) > max(c.xid::text::bigint)::text::xid8 as over
         from bookpost.changes c where c.book_id = $1`,
        [old],
      );
      return rows[0]?.over;
    });
    const after = await latestCursor(client);
    const recent = await addBook(db.pool, owner);
    await client.query(
      `update bookpost.changes set changed_at = now() - case
         when book_id = $1 then interval '30 days 1 minute' when book_id = $2 then interval '29 days' else interval '40 days' end`,
      [old, recent],
    );
    await client.query("select bookpost_private.prune_changes()");
    const { rows } = await client.query("select book_id from bookpost.changes");
    expect(rows).toEqual([{ book_id: recent }]);
    expect(booksOf(await readOn(client, after))).toEqual([recent]);
    expect(booksOf(await readOn(client, null))).toEqual([recent]);
    expect(
      await tryOut(client, "select * from bookpost.changes_since($1, 1)", [before]),
    ).toMatchObject({ code: "BP410" });
  });

  test("goes in batches, oldest first, and a cursor between two batches is told so", async () => {
    const client = await rolledBack(db);
    const owner = await makeUser(client);
    await client.query("delete from bookpost.changes");
    await client.query(
      `insert into bookpost.changes (xid, user_id, kind, book_id, changed_at)
       select n::text::xid8, $1, 'book', gen_random_uuid(), now() - interval '31 days'
       from generate_series(3, 600) n, generate_series(1, 20)`,
      [owner],
    );
    const prune = "select bookpost_private.prune_changes() as count";
    expect(await one(client, prune)).toEqual({ count: 10_000 });
    const { first, through } = await one<{ first: string; through: string }>(
      client,
      "select min(xid) as first, bookpost.pruned_through() as through from bookpost.changes",
    );
    expect(BigInt(first)).toBeGreaterThanOrEqual(BigInt(through));
    expect(await one(client, prune)).toEqual({ count: 598 * 20 - 10_000 });
    expect(await one(client, prune)).toEqual({ count: 0 });
    expect(await one(client, "select bookpost.pruned_through() as through")).toEqual({
      through: "600",
    });
  });
});

describe("changes of another server, come with a dump", () => {
  async function restoreForeign(client: pg.PoolClient, owner: string, xid: string) {
    await client.query(
      "insert into bookpost.changes (xid, user_id, kind, book_id) values ($1, $2, 'book', gen_random_uuid())",
      [xid, owner],
    );
  }

  test("are not told, hide nothing, and are removed", async () => {
    const client = await rolledBack(db);
    const owner = await makeUser(client);
    const before = await latestCursor(client);
    await restoreForeign(client, owner, "900000000");
    expect((await readOn(client, before)).changes).toEqual([]);
    const cursor = await latestCursor(client);
    const book = await addBook(db.pool, await makeUser(db.pool));
    expect(booksOf(await readOn(client, cursor))).toEqual([book]);
    await client.query("select bookpost_private.prune_changes()");
    expect(
      await one(
        client,
        "select count(*)::integer as left from bookpost.changes where xid = '900000000'",
      ),
    ).toEqual({ left: 0 });
  });
});

/** One step of a history: a connection does something, or the reader reads a page. */
type Step =
  | { readonly do: "write" | "commit" | "rollback"; readonly who: number }
  | { readonly do: "read"; readonly first: number };

const CONNECTIONS = 4;
const who = fc.nat(CONNECTIONS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant("write" as const), who }), weight: 6 },
  { arbitrary: fc.record({ do: fc.constant("commit" as const), who }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant("rollback" as const), who }), weight: 1 },
  {
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      first: fc.integer({ min: 1, max: 3 }),
    }),
    weight: 4,
  },
);

test("whatever the order in which several write, commit and roll back, a reader is told exactly what was committed, each change once", async () => {
  const writers = await openClients(db.url, CONNECTIONS);
  const reader = await openClient(db.url);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const owner = await makeUser(db.pool);
      let cursor = await latestCursor(reader);
      const open = new Map<number, string[]>();
      const committed: string[] = [];
      const told: (string | null)[] = [];
      const end = async (index: number, how: "commit" | "rollback") => {
        const written = open.get(index);
        if (!written) return;
        await writers[index]?.query(how);
        open.delete(index);
        if (how === "commit") committed.push(...written);
      };
      for (const s of steps) {
        if (s.do === "read") {
          const page = await changesSince(reader, cursor, s.first);
          told.push(...booksOf(page));
          cursor = page.endCursor;
        } else if (s.do === "write") {
          const writer = writers[s.who] as pg.Client;
          if (!open.has(s.who)) await writer.query("begin");
          open.set(s.who, [...(open.get(s.who) ?? []), await addBook(writer, owner)]);
        } else await end(s.who, s.do);
      }
      for (const index of [...open.keys()]) await end(index, "commit");
      told.push(...booksOf(await readOn(reader, cursor, 2)));
      // Nobody else's: this file's database has no other writer.
      expect([...told].sort()).toEqual([...committed].sort());
    }),
    { numRuns: runCount(30, 60) },
  );
});
