import type pg from "pg";
import { expect, test } from "vitest";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageLease, makeDue } from "../../../helpers/ageing.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { type TrackedBook, trackBook } from "../../../helpers/trackBook.ts";

// What people change while a lookup flies goes before what the lookup brings.

const db = testDatabase();

interface Change {
  readonly name: string;
  readonly make: (client: pg.ClientBase, book: TrackedBook, carrier: string) => Promise<unknown>;
}

/** By which nobody waits any more for what the carrier is being asked. */
const changes: readonly Change[] = [
  {
    name: "the book is deleted",
    make: (client, { bookId }) =>
      client.query("delete from bookpost.books where id = $1", [bookId]),
  },
  {
    name: "its owner is deleted",
    make: (client, { ownerId }) =>
      client.query("delete from bookpost.users where id = $1", [ownerId]),
  },
  {
    name: "its number is corrected",
    make: (client, _, carrier) =>
      trackBook(client, carrier, { appBookId: "b-1", number: "CORRECTED1" }),
  },
  {
    name: "its tracking is stopped",
    make: (client, { bookId }) => client.query("select bookpost.stop_tracking($1)", [bookId]),
  },
  {
    name: "it is marked as cancelled",
    make: (client, { bookId }) =>
      client.query("select bookpost.mark_book($1, 'cancelled', 'the sale fell through')", [bookId]),
  },
];

/** When the answer comes: before the sweep that closes the parcel, after it, after another that did not count either. */
const moments: readonly {
  readonly name: string;
  readonly pass: (client: pg.ClientBase, lookupId: string, workerId: string) => Promise<unknown>;
  readonly answersBefore: number;
}[] = [
  { name: "at once", pass: async () => {}, answersBefore: 0 },
  { name: "after the next sweep", pass: (client) => sweep(client), answersBefore: 0 },
  {
    name: "a second time",
    pass: (client, lookupId, workerId) =>
      recordLookups(client, [failed(lookupId, "unavailable")], workerId),
    answersBefore: 1,
  },
];

const answers = [
  [
    "a delivery",
    (id: string) => found(id, { events: [scan(ago(1), "delivered")], signed_by: "M." }),
  ],
  ["a failure", (id: string) => failed(id, "unavailable")],
  ["an unknown number", (id: string) => failed(id, "not_found")],
] as const;

const table = changes.flatMap((change) =>
  moments.flatMap((moment) =>
    answers.map(([what, report]) => ({
      name: `${change.name} while a lookup flies: ${what} that comes ${moment.name} changes nothing`,
      change,
      moment,
      report,
    })),
  ),
);

async function oneInFlight() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const book = await trackBook(client, api.code, { appBookId: "b-1" });
  await lookUp(
    client,
    book.parcelId,
    (id) => found(id, { events: [scan(ago(9), "in_transit")] }),
    api.workerId,
  );
  const lookupId = await permitFor(client, book.parcelId, api.workerId);
  return { client, api, book, lookupId };
}

test.each(table)("$name", async ({ change, moment, report }) => {
  const { client, api, book, lookupId } = await oneInFlight();
  await change.make(client, book, api.code);
  await moment.pass(client, lookupId, api.workerId);
  const except = ["bookpost_private.workers"];
  const before = await tableDigests(client, { except });
  expect(await recordLookups(client, [report(lookupId)], api.workerId)).toEqual([]);
  expect(await tableDigests(client, { except })).toEqual(before);
  expect(
    await one(client, "select stale_results from bookpost_private.workers where id = $1", [
      api.workerId,
    ]),
  ).toEqual({ stale_results: moment.answersBefore + 1 });
});

test.each(changes)(
  "$name while a lookup flies: its parcel is closed and its lease is free after a sweep",
  async (change) => {
    const { client, api, book, lookupId } = await oneInFlight();
    await change.make(client, book, api.code);
    await recordLookups(client, [found(lookupId)], api.workerId);
    await sweep(client);
    expect((await parcelOf(client, book.parcelId)).closed_at).not.toBeNull();
    const { rows } = await client.query("select * from bookpost_private.leases");
    expect(rows).toEqual([]);
  },
);

test("a corrected number is looked at next, and learns nothing of the old one", async () => {
  const { client, api, book, lookupId } = await oneInFlight();
  const { parcelId } = await trackBook(client, api.code, {
    appBookId: "b-1",
    number: "CORRECTED1",
  });
  expect(parcelId).not.toBe(book.parcelId);
  const report = found(lookupId, { events: [scan(ago(1), "delivered")] });
  await recordLookups(client, [report], api.workerId);
  const { next_check_at: next } = await checkOf(client, parcelId);
  expect(next?.getTime()).toBeLessThanOrEqual(Date.now());
  const [verdict] = await acquireLookups(client, [parcelId], api.workerId);
  expect(verdict?.verdict).toBe("permit");
  expect((await parcelOf(client, parcelId)).status).toBe("pending");
  const { rows } = await client.query("select from bookpost.tracking_events where parcel_id = $1", [
    parcelId,
  ]);
  expect(rows).toEqual([]);
});

test("an answer counts while another owner still waits for it, and tells that one alone", async () => {
  const { client, api, book, lookupId } = await oneInFlight();
  const { rows: users } = await client.query<{ id: string }>(
    "insert into bookpost.users (name) values ('another') returning id",
  );
  const owner = users[0]?.id ?? "";
  await trackBook(client, api.code, { number: book.number, owner });
  await client.query("delete from bookpost.books where id = $1", [book.bookId]);
  const report = found(lookupId, { events: [scan(ago(1), "delivered")] });
  expect(await recordLookups(client, [report], api.workerId)).toMatchObject([
    { outcome: "updated" },
  ]);
  const { rows } = await client.query(
    "select user_id from bookpost.notifications where status = 'delivered'",
  );
  expect(rows).toEqual([{ user_id: owner }]);
});

test("a mark set by hand while a lookup flies stands against its older scans, and yields to newer ones", async () => {
  const { client, api, book, lookupId } = await oneInFlight();
  await client.query("select bookpost.mark_book($1, 'delivered', 'it is here')", [book.bookId]);
  const told = "select count(*)::integer as told from bookpost.notifications";
  const before = await one(client, told);
  const report = found(lookupId, { status: "exception", events: [scan(ago(1), "exception")] });
  expect(await recordLookups(client, [report], api.workerId)).toMatchObject([
    { status: "delivered" },
  ]);
  expect(await one(client, told)).toEqual(before);
  const later = found("", { events: [scan(ago(-1), "return_to_sender")] });
  await lookUp(client, book.parcelId, (id) => ({ ...later, lookup_id: id }), api.workerId);
  expect((await parcelOf(client, book.parcelId)).status).toBe("return_to_sender");
});

test("of two lookups that overlap, the first having lost its lease, only the second lands", async () => {
  const { client, api, book, lookupId } = await oneInFlight();
  await ageLease(client, book.parcelId, "1 hour");
  await sweep(client);
  await makeDue(client, book.parcelId);
  const second = await permitFor(client, book.parcelId, api.workerId);
  const late = found(lookupId, { events: [scan(ago(2), "exception")] });
  const right = found(second, { events: [scan(ago(1), "delivered")] });
  for (const [report, counted] of [
    [late, 0],
    [right, 1],
    [late, 0],
  ] as const)
    expect(await recordLookups(client, [report], api.workerId)).toHaveLength(counted);
  const { rows } = await client.query(
    "select status from bookpost.tracking_events where parcel_id = $1 order by sort_at",
    [book.parcelId],
  );
  expect(rows).toEqual([{ status: "in_transit" }, { status: "delivered" }]);
});
