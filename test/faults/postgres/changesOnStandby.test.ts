import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createPool } from "../../../src/db/pool.ts";
import { createChangeHub } from "../../../src/graphql/subscriptions/changeHub.ts";
import { canStandby } from "../../harness/abilities.ts";
import { type PgBox, type Standby, startPgBox } from "../../harness/pgbox.ts";
import { changesSince, latestCursor, readOn } from "../../helpers/changes.ts";
import { databaseUrl } from "../../helpers/databaseUrl.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { one } from "../../helpers/one.ts";
import { openClient } from "../../helpers/openClient.ts";
import { refusalOf } from "../../helpers/refusal.ts";
import type { TestDatabase } from "../../helpers/template.ts";

// A standby keeps the transactions under way in another place than a primary, and Postgres's own snapshot functions do not
// look there: what this file asks is not shown by any test on one server.

let primary: PgBox;
let standby: Standby;
let db: TestDatabase;

beforeAll(async () => {
  if (!canStandby()) return;
  primary = await startPgBox({ server: "installed" });
  db = await primary.createMigratedDatabase();
  standby = await primary.standby();
}, 120_000);
afterAll(async () => {
  await primary?.close();
});

const name = () => new URL(db.url).pathname.slice(1);
const openStandby = () => openClient(databaseUrl(standby.url, name()));

async function addBook(client: Pick<typeof db.pool, "query">, owner: string): Promise<string> {
  const { id } = await one<{ id: string }>(
    client,
    "insert into bookpost.books (owner_id, title) values ($1, 'A book') returning id",
    [owner],
  );
  return id;
}

const booksOf = (told: { changes: readonly { bookId: string | null }[] }) =>
  told.changes.map(({ bookId }) => bookId);

test.skipIf(!canStandby())(
  "a reader on a standby loses no change that is committed late, and a cursor of either server serves the other",
  async () => {
    const owner = await makeUser(db.pool);
    const cursor = await latestCursor(db.pool);
    const late = await openClient(db.url);
    await late.query("begin");
    const first = await addBook(late, owner);
    const second = await addBook(db.pool, owner);
    await standby.catchUp();
    const replica = await openStandby();
    const one = await readOn(replica, cursor);
    // What is younger than an open transaction waits for it.
    expect(booksOf(one)).toEqual([]);
    await late.query("commit");
    await standby.catchUp();
    const two = await readOn(replica, one.cursor, 1);
    expect(booksOf(two)).toEqual([first, second]);
    expect(booksOf(await readOn(db.pool, two.cursor))).toEqual([]);
    const third = await addBook(db.pool, owner);
    expect(booksOf(await readOn(db.pool, two.cursor))).toEqual([third]);
  },
);

test.skipIf(!canStandby())(
  "a standby that is behind a cursor has nothing new, and does not set it back",
  async () => {
    const owner = await makeUser(db.pool);
    await standby.catchUp();
    const replica = await openStandby();
    const admin = await openClient(databaseUrl(standby.adminUrl, name()));
    await admin.query("select pg_wal_replay_pause()");
    await addBook(db.pool, owner);
    const cursor = await latestCursor(db.pool);
    expect(await changesSince(replica, cursor)).toEqual({
      changes: [],
      endCursor: cursor,
      hasNextPage: false,
    });
    await admin.query("select pg_wal_replay_resume()");
    const book = await addBook(db.pool, owner);
    await standby.catchUp();
    expect(booksOf(await readOn(replica, cursor))).toEqual([book]);
  },
);

test.skipIf(!canStandby())(
  "subscribers of a standby are told, without a notification",
  async () => {
    const owner = await makeUser(db.pool);
    await standby.catchUp();
    const hub = createChangeHub({
      pool: createPool(databaseUrl(standby.apiUrl, name()), "changes"),
      log: () => {},
    });
    onTestFinished(() => hub.stop());
    const queue = hub.subscribe({
      viewer: { role: "bookpost_member", userId: owner, expiresAt: null, caller: owner },
      kinds: null,
    });
    expect((await queue.next()).value).toEqual({ change: null });
    const book = await addBook(db.pool, owner);
    expect((await queue.next()).value?.change?.bookId).toBe(book);
  },
);

test.skipIf(!canStandby())(
  "after a promotion every cursor of before has expired, since its transaction ids may be given out again",
  async () => {
    const owner = await makeUser(db.pool);
    const cursor = await latestCursor(db.pool);
    await standby.catchUp();
    await standby.promote();
    const promoted = await openStandby();
    expect(await refusalOf(changesSince(promoted, cursor))).toMatchObject({ code: "BP410" });
    const fresh = await latestCursor(promoted);
    const book = await addBook(promoted, owner);
    expect(booksOf(await readOn(promoted, fresh))).toEqual([book]);
  },
);
