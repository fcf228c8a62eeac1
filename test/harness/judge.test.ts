import type pg from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { ago } from "../helpers/ago.ts";
import { rolledBack } from "../helpers/database.ts";
import { lookUp, permitFor } from "../helpers/lookUp.ts";
import { makeUser } from "../helpers/makeUser.ts";
import { makeWorker } from "../helpers/makeWorker.ts";
import { one } from "../helpers/one.ts";
import { found, scan } from "../helpers/reports.ts";
import { testDatabase } from "../helpers/testDatabase.ts";
import { type TrackedBook, trackBook } from "../helpers/trackBook.ts";
import { judge } from "./judge.ts";
import type { Request } from "./judgeRequests.ts";

// The judge lets an ordinary life pass, and finds what is planted in it.

const TAKEN_IN = scan(ago(30), "in_transit");
const GOES_OUT = scan(ago(6), "out_for_delivery");

const db = testDatabase();
let client: pg.PoolClient;
let book: TrackedBook;

beforeEach(async () => {
  client = await rolledBack(db, { leavesStuck: true });
  book = await trackBook(client, "ups");
  await lookUp(client, book.parcelId, (id) => found(id, { events: [TAKEN_IN] }));
  await lookUp(client, book.parcelId, (id) =>
    found(id, {
      events: [TAKEN_IN, GOES_OUT],
    }),
  );
});

/** The carrier's log of the book's two looks, as the ledger has them. */
async function honestLog(): Promise<Request[]> {
  const { rows } = await client.query<{ at: number }>(
    `select extract(epoch from started_at)::double precision * 1000 as at
     from bookpost_private.lookups order by started_at`,
  );
  return rows.map(({ at }, i) => request(at, i));
}

function request(at: number, monotonic: number, endedAt: number | null = monotonic + 0.5): Request {
  return { at, monotonic, endedAt, api: "ups", kind: "lookup", number: book.number };
}

const judged = async (log?: Request[]) => judge({ db: client, log: log ?? (await honestLog()) });
const names = async (log?: Request[]) => Object.keys(await judged(log));

test("an ordinary life has no offence in it: owners who come and go, a mark, a return, what has no stage", async () => {
  const late = await makeUser(client);
  const theirs = await trackBook(client, "ups", { number: book.number, owner: late });
  await client.query("select bookpost.mark_book($1, 'exception', 'seen by a person')", [
    book.bookId,
  ]);
  await client.query("select bookpost.stop_tracking($1)", [theirs.bookId]);
  await lookUp(client, book.parcelId, (id) =>
    found(id, { is_return: true, events: [scan("2036-11-22T09:00:00Z", "delivered")] }),
  );
  const silent = await trackBook(client, "dhl");
  await lookUp(client, silent.parcelId, (id) => found(id, { events: [scan(ago(3), null)] }));
  const { rows } = await client.query("select status from bookpost.parcels order by status");
  expect(rows).toEqual([{ status: "return_to_sender" }, { status: "unknown" }]);
  expect(await judge({ db: client })).toEqual({});
});

test("a look under way accounts for its request", async () => {
  await permitFor(client, book.parcelId);
  expect(await judged([...(await honestLog()), request(Date.now(), 10, null)])).toEqual({});
});

test("a lease that nobody came back for is found", async () => {
  await permitFor(client, book.parcelId);
  await client.query(
    `update bookpost_private.leases
     set started_at = started_at - interval '1 hour', lease_until = lease_until - interval '1 hour'`,
  );
  expect(await names()).toEqual(["stuckThings"]);
});

test("a live parcel that nothing explains is found", async () => {
  await client.query("delete from bookpost_private.checks");
  expect(await names()).toEqual(["stuckThings", "unexplainedParcels"]);
});

test.each([
  [
    "another status than its scans tell",
    "update bookpost.parcels set status = 'exception', status_version = 0",
  ],
  [
    "pending again after an answer",
    "update bookpost.parcels set status = 'pending', status_version = 0",
  ],
])("a parcel that has %s is found", async (_, sql) => {
  await client.query("delete from bookpost.notifications");
  await client.query(sql);
  expect(await judged()).toMatchObject({ statusesWithoutEvidence: [{ id: book.parcelId }] });
});

test("a parcel that has left pending without any answer is found", async () => {
  const other = await trackBook(client, "ups");
  await client.query("update bookpost.parcels set status = 'unknown' where id = $1", [
    other.parcelId,
  ]);
  expect(await judged()).toMatchObject({ statusesWithoutEvidence: [{ id: other.parcelId }] });
});

test("a scan that no look brought is found", async () => {
  const other = await trackBook(client, "ups");
  await client.query(
    `insert into bookpost.tracking_events (parcel_id, identity, raw_time, raw_code, sort_at, sort_rank)
     values ($1, 'a', '', 'XX', now(), 0)`,
    [other.parcelId],
  );
  expect(await names()).toEqual(["scansWithoutLookup"]);
});

test("an owner who was not told is found", async () => {
  await client.query("delete from bookpost.notifications where status = 'out_for_delivery'");
  expect(await judged()).toEqual({
    missingNotifications: [expect.objectContaining({ owner_id: book.ownerId, status_version: 2 })],
  });
});

test.each([
  ["of a version to come", "status_version = 9 where status_version = 2", true],
  ["of another stage", "status = 'delivered' where status_version = 2", true],
  ["of a stage nobody is told of", "status = 'unknown' where status_version = 1", false],
  ["of the same stage again", "status = 'out_for_delivery' where status_version = 1", false],
])("a notification %s is found", async (_, change, isOneMissing) => {
  await client.query(`update bookpost.notifications set ${change}`);
  expect(await names()).toEqual([
    ...(isOneMissing ? ["missingNotifications"] : []),
    "falseNotifications",
  ]);
});

test("someone told twice of one version is found, should the constraint be gone", async () => {
  await client.query(
    "alter table bookpost.notifications drop constraint notifications_one_per_status_version cascade",
  );
  await client.query(
    `insert into bookpost.notifications (user_id, book_id, parcel_id, status, status_version)
     select user_id, book_id, parcel_id, status, status_version from bookpost.notifications where status_version = 1`,
  );
  expect((await judged()).falseNotifications).toHaveLength(2);
});

test("two requests at once about one number are found", async () => {
  const [first] = await honestLog();
  if (!first) throw new Error("no log");
  const second = request(first.at, 0.2);
  expect(await judged([first, second])).toEqual({ overlappingRequests: [second] });
});

test("two requests at once are found inside a request about many numbers too", async () => {
  const [first] = await honestLog();
  if (!first) throw new Error("no log");
  const second = { ...request(first.at, 0.2), number: null, numbers: ["OTHER", book.number] };
  expect(Object.keys(await judged([first, second]))).toContain("overlappingRequests");
});

test("two requests at once are allowed once the first look was given up", async () => {
  const lookupId = await permitFor(client, book.parcelId);
  const first = request(Date.now(), 100, null);
  await client.query("select bookpost_private.interrupt_lookups(array[$1::uuid], 'a test')", [
    lookupId,
  ]);
  await permitFor(client, book.parcelId);
  const second = request(Date.now(), 200);
  expect(await judged([...(await honestLog()).slice(0, 2), first, second])).toEqual({});
});

describe("the late request of a look that was given up before it was sent", () => {
  let first: Request;
  let second: Request;
  let ofTheOneGivenUp: Request;
  let now: number;

  beforeEach(async () => {
    await makeWorker(client, "stopped");
    const lookupId = await permitFor(client, book.parcelId, "stopped");
    await client.query("select bookpost_private.interrupt_lookups(array[$1::uuid], 'a test')", [
      lookupId,
    ]);
    [first, second, ofTheOneGivenUp] = (await honestLog()) as [Request, Request, Request];
    // The ledger's clock: what comes after the end of the look is after it.
    const sql = "select extract(epoch from clock_timestamp())::double precision * 1000 as now";
    now = (await one<{ now: number }>(client, sql)).now;
  });

  test("is allowed beside another, and no second one", async () => {
    await permitFor(client, book.parcelId);
    const log = [first, second, request(now + 50, 100, null)];
    const late = [request(now + 60, 200), request(now + 70, 300)] as const;
    expect(await judged([...log, late[0]])).toEqual({});
    expect(await judged([...log, ...late])).toEqual({ overlappingRequests: [late[1]] });
  });

  test("is allowed when no look is under way, and no second one", async () => {
    const late = [request(now + 1_000, 200), request(now + 2_000, 300)] as const;
    expect(await judged([first, second, late[0]])).toEqual({});
    expect(await judged([first, second, ...late])).toEqual({ requestsWithoutLookup: [late[1]] });
  });

  test("is found where the look has sent its own, or its worker does not live", async () => {
    const late = request(now + 1_000, 200);
    expect(await judged([first, second, ofTheOneGivenUp, late])).toEqual({
      requestsWithoutLookup: [late],
    });
    await client.query("delete from bookpost_private.workers where id = 'stopped'");
    expect(await judged([first, second, late])).toEqual({ requestsWithoutLookup: [late] });
  });
});

test("a request that no look accounts for is found, before the first and about a stranger", async () => {
  const log = await honestLog();
  const early = request((log[0]?.at ?? 0) - 60_000, -10);
  const strange = { ...request(log[0]?.at ?? 0, 20), number: "NOBODYS" };
  const found = (await judged([early, ...log, strange])).requestsWithoutLookup;
  expect(found).toEqual([early, strange]);
});
