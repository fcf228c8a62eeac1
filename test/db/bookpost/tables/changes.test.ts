import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import type { Queryable } from "../../../../src/db/withTransaction.ts";
import { latestCursor, readOn } from "../../../helpers/changes.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import { refusalOf } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../../../helpers/trackBook.ts";
import { untilItWaits } from "../../../helpers/untilItWaits.ts";

const db = testDatabase();

interface World {
  readonly names: ReadonlyMap<string, string>;
  readonly ada: string;
  readonly ben: string;
  readonly adaBook: string;
  readonly benBook: string;
  readonly parcel: string;
}

/** Ada and Ben have a book each in one parcel. */
async function makeWorld(client: Queryable): Promise<World> {
  const number = newNumber();
  const [ada, ben] = [await makeUser(client), await makeUser(client)];
  const adas = await trackBook(client, "ups", { owner: ada, number });
  const bens = await trackBook(client, "ups", { owner: ben, number });
  return {
    names: new Map([
      [ada, "Ada"],
      [ben, "Ben"],
      [adas.bookId, "Ada's book"],
      [bens.bookId, "Ben's book"],
      [adas.parcelId, "parcel"],
    ]),
    ada,
    ben,
    adaBook: adas.bookId,
    benBook: bens.bookId,
    parcel: adas.parcelId,
  };
}

/** What `work` tells, one line a change, in words; ids that the world doesn't know are "new". */
async function toldBy(
  { names }: World,
  work: (client: ClientBase) => Promise<unknown>,
): Promise<string[]> {
  const client = await openClient(db.url);
  const before = await latestCursor(client);
  await client.query("begin");
  await work(client);
  await client.query("commit");
  const name = (id: string | null) => (id === null ? [] : [names.get(id) ?? "new"]);
  return (await readOn(client, before)).changes
    .map((c) =>
      [
        ...name(c.userId),
        c.kind,
        ...name(c.bookId),
        ...name(c.parcelId),
        ...name(c.notificationId),
      ].join(" "),
    )
    .sort();
}

const SCAN = `insert into bookpost.tracking_events (parcel_id, identity, raw_time, raw_code, sort_at, sort_rank)
  select $1, 'scan ' || n, 'raw', 'I', now(), n from generate_series(1, 3) n`;

const NOTE = `insert into bookpost.notifications (user_id, book_id, parcel_id, status, status_version)
  values ($1, $2, $3, 'in_transit', 1)`;

test("a book that begins to travel is told to its owner, and so is the parcel she may see from now on", async () => {
  const world = await makeWorld(db.pool);
  expect(await toldBy(world, (client) => trackBook(client, "ups", { owner: world.ada }))).toEqual([
    "Ada book new",
    "Ada parcel new",
  ]);
});

test("a parcel's change is told once to each owner of a book in it, and to nobody else", async () => {
  const world = await makeWorld(db.pool);
  await trackBook(db.pool, "ups", { owner: world.ada, title: "Another" });
  const { rows } = await db.pool.query(
    "insert into bookpost.books (owner_id, title) values ($1, 'Second') returning id",
    [world.ada],
  );
  await db.pool.query(
    "insert into bookpost.parcel_books (book_id, parcel_id, owner_id) values ($1, $2, $3)",
    [rows[0]?.id, world.parcel, world.ada],
  );
  const told = await toldBy(world, async (client) => {
    await client.query("update bookpost.parcels set status = 'in_transit' where id = $1", [
      world.parcel,
    ]);
    await client.query("update bookpost.parcels set raw_text = 'on its way' where id = $1", [
      world.parcel,
    ]);
    await client.query(SCAN, [world.parcel]);
  });
  expect(told).toEqual(["Ada parcel parcel", "Ben parcel parcel"]);
});

test("what no reader sees is no change, and neither is writing what stands there", async () => {
  const world = await makeWorld(db.pool);
  const told = await toldBy(world, async (client) => {
    for (const sql of [
      "update bookpost.parcels set notice_version = notice_version + 1, told_estimated_until = now()",
      "update bookpost.parcels set status = status",
      "update bookpost.books set title = title",
      "update bookpost.parcel_books set tracking_url = tracking_url",
      "update bookpost.notifications set read_at = read_at",
      "update bookpost.parcels set status = 'delivered' where false",
      "delete from bookpost.notifications where false",
    ])
      await client.query(sql);
  });
  expect(told).toEqual([]);
});

test("what no reader sees does not hide what she does see in the same row", async () => {
  const world = await makeWorld(db.pool);
  const told = await toldBy(world, (client) =>
    client.query(
      "update bookpost.parcels set notice_version = notice_version + 1, signed_by = 'Leo' where id = $1",
      [world.parcel],
    ),
  );
  expect(told).toEqual(["Ada parcel parcel", "Ben parcel parcel"]);
});

test("stopping and going on are changes of the book, for its owner alone", async () => {
  const world = await makeWorld(db.pool);
  expect(
    await toldBy(world, (client) =>
      client.query("select bookpost.stop_tracking($1)", [world.adaBook]),
    ),
  ).toEqual(["Ada book Ada's book"]);
  expect(
    await toldBy(world, (client) =>
      client.query("select bookpost.refresh_book($1)", [world.adaBook]),
    ),
  ).toEqual(["Ada book Ada's book"]);
});

test("a book that gets another owner is told to both, with its parcel", async () => {
  const world = await makeWorld(db.pool);
  const told = await toldBy(world, (client) =>
    client.query("update bookpost.books set owner_id = $1 where id = $2", [
      world.ben,
      world.adaBook,
    ]),
  );
  expect(told).toEqual([
    "Ada book Ada's book",
    "Ada parcel parcel",
    "Ben book Ada's book",
    "Ben parcel parcel",
  ]);
});

test("a book that travels nowhere is told as well, to both where it gets another owner", async () => {
  const world = await makeWorld(db.pool);
  const { id } = await one<{ id: string }>(
    db.pool,
    "insert into bookpost.books (owner_id, title) values ($1, 'On the shelf') returning id",
    [world.ada],
  );
  const told = await toldBy(world, (client) =>
    client.query("update bookpost.books set owner_id = $1 where id = $2", [world.ben, id]),
  );
  expect(told).toEqual(["Ada book new", "Ben book new"]);
});

test("a notification is told when it comes, when it is read and when it goes", async () => {
  const world = await makeWorld(db.pool);
  const change = "Ada notification Ada's book parcel new";
  const args = [world.ada, world.adaBook, world.parcel];
  expect(await toldBy(world, (client) => client.query(NOTE, args))).toEqual([change]);
  for (const sql of [
    "update bookpost.notifications set read_at = now() where user_id = $1",
    "delete from bookpost.notifications where user_id = $1",
  ])
    expect(await toldBy(world, (client) => client.query(sql, [world.ada]))).toEqual([change]);
});

test("a deleted book is told, with the parcel and the notifications that went with it", async () => {
  const world = await makeWorld(db.pool);
  await db.pool.query(NOTE, [world.ada, world.adaBook, world.parcel]);
  const told = await toldBy(world, (client) =>
    client.query("delete from bookpost.books where id = $1", [world.adaBook]),
  );
  expect(told).toEqual([
    "Ada book Ada's book",
    "Ada notification Ada's book parcel new",
    "Ada parcel parcel",
  ]);
});

test("a deleted parcel is told to all who could see it", async () => {
  const world = await makeWorld(db.pool);
  const told = await toldBy(world, async (client) => {
    await client.query("delete from bookpost_private.checks where parcel_id = $1", [world.parcel]);
    await client.query("delete from bookpost.parcels where id = $1", [world.parcel]);
  });
  expect(told).toEqual([
    "Ada book Ada's book",
    "Ada parcel parcel",
    "Ben book Ben's book",
    "Ben parcel parcel",
  ]);
});

test("with a user go her changes; nobody else is told, and nothing of hers is left", async () => {
  const world = await makeWorld(db.pool);
  const told = await toldBy(world, (client) =>
    client.query("delete from bookpost.users where id = $1", [world.ada]),
  );
  expect(told).toEqual([]);
  expect(
    await one(
      db.pool,
      "select count(*)::integer as left from bookpost.changes where user_id = $1",
      [world.ada],
    ),
  ).toEqual({ left: 0 });
});

test("who tells somebody who is being deleted waits, and then goes on without her", async () => {
  const world = await makeWorld(db.pool);
  const [deleting, telling] = [await openClient(db.url), await openClient(db.url)];
  await deleting.query("begin");
  await deleting.query("delete from bookpost.users where id = $1", [world.ada]);
  const statement = telling.query(SCAN, [world.parcel]);
  await untilItWaits(db.pool, telling, statement);
  await deleting.query("commit");
  await statement;
  const { rows } = await db.pool.query(
    "select user_id from bookpost.changes where parcel_id = $1 and kind = 'parcel' order by xid desc limit 1",
    [world.parcel],
  );
  expect(rows).toEqual([{ user_id: world.ben }]);
});

test("what is rolled back was never told", async () => {
  const world = await makeWorld(db.pool);
  const told = await toldBy(world, async (client) => {
    await client.query("savepoint before");
    await client.query(SCAN, [world.parcel]);
    await client.query("rollback to savepoint before");
  });
  expect(told).toEqual([]);
});

test("listeners are woken once by a transaction, with nothing but the fact, and not where nothing changed", async () => {
  const world = await makeWorld(db.pool);
  const listener = await openClient(db.url);
  const heard: string[] = [];
  listener.on("notification", ({ payload }) => heard.push(payload ?? ""));
  await listener.query('listen "bookpost:changed"');
  await toldBy(world, async (client) => {
    await client.query("update bookpost.parcels set status = status");
  });
  await toldBy(world, async (client) => {
    await client.query(SCAN, [world.parcel]);
    await client.query("update bookpost.books set author = 'Joyce'");
  });
  // A round trip: what had been sent has arrived by now.
  await listener.query("select");
  expect(heard).toEqual([""]);
});

test.each([
  ["book", { parcel_id: true }],
  ["parcel", { book_id: true }],
  ["notification", { book_id: true, parcel_id: true }],
  ["carrier", { book_id: true }],
])("a change of kind %s cannot have only %o", async (kind, ids) => {
  const client = await rolledBack(db);
  const user = await makeUser(client);
  const columns = Object.keys(ids);
  const refusal = await refusalOf(
    client.query(
      `insert into bookpost.changes (user_id, kind, ${columns}) values ($1, $2, ${columns.map(() => "gen_random_uuid()")})`,
      [user, kind],
    ),
  );
  expect(refusal?.constraint).toBe("changes_kind_says_which_ids_there_are");
});
