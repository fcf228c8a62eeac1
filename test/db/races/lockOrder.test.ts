import { expect, test } from "vitest";
import { acquireLookups } from "../../../src/sql/acquireLookups.ts";
import { beat } from "../../../src/sql/beat.ts";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { sweep } from "../../../src/sql/sweep.ts";
import { ageCircuit, makeDue } from "../../helpers/ageing.ts";
import { ago } from "../../helpers/ago.ts";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { circuitOf } from "../../helpers/circuitOf.ts";
import { lookUp, permitFor } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { openClient } from "../../helpers/openClient.ts";
import { failed, found, scan } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";
import { giveBackWhileRecorded, holdBudget, twoApis } from "./lockOrder.ts";

const db = testDatabase();

// One lock order in every function: checks by parcel, leases, parcels, budgets by API, circuits by API, the queue.
// Each test is an interleaving that deadlocks (40P01) where one of two functions takes its locks the other way round.

test("giving back permits of two APIs while a batch of both is recorded", () =>
  giveBackWhileRecorded(db));

test("a beat that ends the parking of two APIs while permits of both are asked for", async () => {
  const [a, b] = await twoApis(db);
  await db.pool.query(
    "update bookpost_private.budgets set parked_at = now(), parked_reason = 'x', parked_fingerprint = 'old' where api_code = any ($1)",
    [[a.code, b.code]],
  );
  const parcelIds = [
    (await trackBook(db.pool, a.code)).parcelId,
    (await trackBook(db.pool, b.code)).parcelId,
  ];
  const holder = await holdBudget(db, a.code);
  const asker = await openClient(db.url);
  const beater = await openClient(db.url);
  const asked = acquireLookups(asker, parcelIds, "worker");
  await untilItWaits(db.pool, asker, asked);
  const beaten = beat(beater, {
    workerId: "with new credentials",
    hostName: "h",
    processId: 1,
    apiFingerprints: { [a.code]: "new", [b.code]: "new" },
  });
  await untilItWaits(db.pool, beater, beaten);
  await holder.query("rollback");
  expect(await asked).toHaveLength(2);
  await beaten;
});

test("deleting a book while its parcel's lookup is recorded", async () => {
  const api = await makeApi(db.pool);
  const { bookId, parcelId } = await trackBook(db.pool, api.code);
  const lookupId = await permitFor(db.pool, parcelId);
  const holder = await openClient(db.url);
  await holder.query("begin");
  await holder.query("select from bookpost.parcels where id = $1 for update", [parcelId]);
  const recorder = await openClient(db.url);
  const recorded = recordLookups(
    recorder,
    [found(lookupId, { events: [scan(ago(1), "in_transit")] })],
    "worker",
  );
  await untilItWaits(db.pool, recorder, recorded);
  // The recorder holds the check; the deletion must not want it while it holds the book.
  await db.pool.query("delete from bookpost.books where id = $1", [bookId]);
  await holder.query("rollback");
  expect(await recorded).toHaveLength(1);
});

test("two owners who share two parcels are deleted at once", async () => {
  const api = await makeApi(db.pool);
  const [ann, ben] = [await makeUser(db.pool), await makeUser(db.pool)];
  const first = await trackBook(db.pool, api.code, { owner: ann });
  const second = await trackBook(db.pool, api.code, { owner: ben });
  await trackBook(db.pool, api.code, { owner: ann, number: second.number });
  await trackBook(db.pool, api.code, { owner: ben, number: first.number });
  const a = await openClient(db.url);
  const b = await openClient(db.url);
  await a.query("begin");
  await b.query("begin");
  await a.query("delete from bookpost.books where id = $1", [first.bookId]);
  await b.query("delete from bookpost.books where id = $1", [second.bookId]);
  await a.query("delete from bookpost.users where id = $1", [ann]);
  await b.query("delete from bookpost.users where id = $1", [ben]);
  await a.query("commit");
  await b.query("commit");
  await sweep(db.pool);
  const { rows } = await db.pool.query(
    "select closed_reason from bookpost.parcels where id = any ($1)",
    [[first.parcelId, second.parcelId]],
  );
  expect(rows).toEqual([{ closed_reason: "stopped" }, { closed_reason: "stopped" }]);
});

test("a sweep that frees the probes of two APIs while a batch of both is recorded", async () => {
  const [a, b] = await twoApis(db, { failure_threshold: 1 });
  const early: string[] = [];
  const probed: { bookId: string; parcelId: string }[] = [];
  for (const { code } of [a, b]) {
    early.push(await permitFor(db.pool, (await trackBook(db.pool, code)).parcelId));
    const spoiler = await trackBook(db.pool, code);
    await lookUp(db.pool, spoiler.parcelId, (id) => failed(id, "unavailable"));
    await ageCircuit(db.pool, code, "31 minutes");
    const tracked = await trackBook(db.pool, code);
    await makeDue(db.pool, tracked.parcelId);
    await permitFor(db.pool, tracked.parcelId);
    probed.push(tracked);
  }
  await db.pool.query("delete from bookpost.books where id = any ($1)", [
    probed.map(({ bookId }) => bookId),
  ]);

  // The recorder has circuit A and is about to ask for B.
  const recorder = await openClient(db.url);
  await recorder.query("begin");
  await recordLookups(recorder, [failed(early[0] ?? "", "unavailable")], "worker");
  const sweeper = await openClient(db.url);
  await sweeper.query("begin");
  await sweep(sweeper);
  const recorded = recordLookups(recorder, [failed(early[1] ?? "", "unavailable")], "worker");
  await untilItWaits(db.pool, recorder, recorded);
  await sweeper.query("commit");
  await recorded;
  await recorder.query("commit");

  // What the sweep had to leave is free once its time is up.
  for (const { code } of [a, b]) await ageCircuit(db.pool, code, "2 minutes");
  await sweep(db.pool);
  for (const { code } of [a, b]) expect((await circuitOf(db.pool, code)).state).toBe("open");
});

testThatAllIsQuiet(db);
