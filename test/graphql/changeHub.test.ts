import { describe, expect, it, onTestFinished } from "vitest";
import { createPool } from "../../src/db/pool.ts";
import { CHANGE_HUB } from "../../src/graphql/limits.ts";
import { type ChangeHub, createChangeHub } from "../../src/graphql/subscriptions/changeHub.ts";
import type { ChangeQueue } from "../../src/graphql/subscriptions/changeQueue.ts";
import type { Viewer } from "../../src/graphql/viewer.ts";
import { makeUser } from "../helpers/makeUser.ts";
import { openClients } from "../helpers/openClient.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { trackBook } from "../helpers/trackBook.ts";
import { until } from "../helpers/until.ts";

const db = testDatabase();

function startHub(url = db.apiUrl): { hub: ChangeHub; log: string[] } {
  const log: string[] = [];
  const hub = createChangeHub({
    pool: createPool(url, "changes"),
    log: (sentence) => log.push(sentence),
  });
  onTestFinished(async () => {
    await hub.stop();
    await until("no connection is left", async () => {
      const { rows } = await db.pool.query(
        "select from pg_stat_activity where application_name = 'bookpost changes' and datname = current_database()",
      );
      return rows.length === 0;
    });
  });
  return { hub, log };
}

const member = (userId: string): Viewer => ({
  role: "bookpost_member",
  userId,
  expiresAt: null,
  caller: userId,
});

async function heard(queue: ChangeQueue) {
  const { value } = await queue.next();
  if (value === undefined) throw new Error("the subscription has ended");
  return value.change;
}

/** A subscription that listens already. */
async function listen(hub: ChangeHub, viewer: Viewer, kinds: string[] | null = null) {
  const queue = hub.subscribe({ viewer, kinds });
  expect(await heard(queue)).toBeNull();
  return queue;
}

async function addBooks(owner: string, count: number): Promise<void> {
  await db.pool.query(
    "insert into bookpost.books (owner_id, title) select $1, 'Book ' || n from generate_series(1, $2::integer) n",
    [owner, count],
  );
}

describe("a subscriber who does not keep up", () => {
  it("is told once to read on, in place of all that waited, and what comes after it", async () => {
    const { hub } = startHub();
    const [slow, quick] = [await makeUser(db.pool), await makeUser(db.pool)];
    const late = await listen(hub, member(slow));
    const other = await listen(hub, member(quick));
    await addBooks(slow, CHANGE_HUB.waiting + 1);
    await addBooks(quick, 1);
    // The hub has handed out everything by now.
    expect(await heard(other)).toMatchObject({ userId: quick });
    expect(await heard(late)).toBeNull();
    await addBooks(slow, 1);
    expect(await heard(late)).toMatchObject({ userId: slow, kind: "book" });
  });

  it("loses nothing as long as there is room", async () => {
    const { hub } = startHub();
    const owner = await makeUser(db.pool);
    const queue = await listen(hub, member(owner));
    await addBooks(owner, CHANGE_HUB.waiting);
    for (let i = 0; i < CHANGE_HUB.waiting; i++)
      expect(await heard(queue)).toMatchObject({ userId: owner });
  });

  it("gets no events of kinds that she did not ask for", async () => {
    const { hub } = startHub();
    const owner = await makeUser(db.pool);
    const queue = await listen(hub, member(owner), ["parcel"]);
    await addBooks(owner, CHANGE_HUB.waiting * 2);
    const { parcelId } = await trackBook(db.pool, "ups", { owner });
    // Neither the books nor a "read on" for too many of them.
    expect(await heard(queue)).toMatchObject({ kind: "parcel", parcelId });
  });
});

it("every change that many write at once is told, more than one statement reads at a time, each once", async () => {
  const { hub } = startHub();
  const owners = await Promise.all(Array.from({ length: 30 }, () => makeUser(db.pool)));
  const queues = await Promise.all(owners.map((owner) => listen(hub, member(owner))));
  const each = CHANGE_HUB.waiting / 4;
  const clients = await openClients(db.url, 6);
  await Promise.all(
    clients.map(async (client, i) => {
      for (const owner of owners.filter((_, k) => k % clients.length === i))
        for (let n = 0; n < each; n++)
          await client.query("insert into bookpost.books (owner_id, title) values ($1, 'A book')", [
            owner,
          ]);
    }),
  );
  for (const [i, queue] of queues.entries()) {
    const ids = new Set<string | null | undefined>();
    for (let n = 0; n < each; n++) {
      const change = await heard(queue);
      expect(change?.userId).toBe(owners[i]);
      ids.add(change?.bookId);
    }
    expect(ids.size).toBe(each);
  }
});

it("a subscriber whose token has her id in capitals hears her own changes", async () => {
  const { hub } = startHub();
  const owner = await makeUser(db.pool);
  const queue = await listen(hub, member(owner.toUpperCase()));
  await addBooks(owner, 1);
  expect(await heard(queue)).toMatchObject({ userId: owner });
});

it("a visitor hears nothing", async () => {
  const { hub } = startHub();
  const owner = await makeUser(db.pool);
  const visitor = await listen(hub, {
    role: "bookpost_visitor",
    userId: owner,
    expiresAt: null,
    caller: owner,
  });
  const ada = await listen(hub, member(owner));
  await addBooks(owner, 1);
  expect(await heard(ada)).toMatchObject({ userId: owner });
  hub.stop();
  expect(await visitor.next()).toEqual({ value: undefined, done: true });
});

it("while the database is away it says so once, and who subscribes then hears nothing until it listens", async () => {
  const away = new URL(db.apiUrl);
  // Nobody listens on port 1.
  away.port = "1";
  const { hub, log } = startHub(away.href);
  const queue = hub.subscribe({ viewer: member("nobody"), kinds: null });
  const next = queue.next();
  await until("it has been told", async () => log.length > 0);
  await hub.stop();
  expect(await next).toEqual({ value: undefined, done: true });
  expect(log).toEqual([expect.stringContaining("ECONNREFUSED")]);
});

it("what was stopped takes no subscribers", async () => {
  const { hub } = startHub();
  await hub.stop();
  const queue = hub.subscribe({ viewer: member("nobody"), kinds: null });
  expect(await queue.next()).toEqual({ value: undefined, done: true });
});
