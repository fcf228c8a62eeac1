import { expect, test } from "vitest";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { sweep } from "../../../src/sql/sweep.ts";
import { ageBeat, ageLease, makeDue } from "../../helpers/ageing.ts";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { permitFor } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { one } from "../../helpers/one.ts";
import { openClient, openClients } from "../../helpers/openClient.ts";
import { dueParcels, permitsFor } from "../../helpers/permits.ts";
import { found } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";

const db = testDatabase();

test("eight sweepers at once give each lost lookup up once", async () => {
  const api = await makeApi(db.pool);
  const lookupIds = await permitsFor(
    db.pool,
    await dueParcels(db.pool, api.code, 40),
    api.workerId,
  );
  await ageBeat(db.pool, api.workerId, "9 seconds");
  const clients = await openClients(db.url, 8);
  let freed = 0;
  // One that finds rows in another's hands leaves them; a second round sees that none was forgotten.
  for (let round = 0; round < 2; round++)
    for (const count of await Promise.all(clients.map((client) => sweep(client)))) freed += count;
  // Those whose rows were skipped are younger than 8 seconds: their time comes.
  await db.pool.query(
    "update bookpost_private.leases set started_at = started_at - interval '9 seconds' where api_code = $1",
    [api.code],
  );
  freed += await sweep(db.pool);
  expect(freed).toBe(40);
  expect(
    await one(
      db.pool,
      "select count(*)::integer as rows, count(distinct id)::integer as lookups from bookpost_private.lookups where id = any ($1)",
      [lookupIds],
    ),
  ).toEqual({ rows: 40, lookups: 40 });
});

test("a sweep and a recording of the same lookup: one of them has it, never both", async () => {
  const api = await makeApi(db.pool);
  const { parcelId } = await trackBook(db.pool, api.code);
  const recorder = await openClient(db.url);
  const sweeper = await openClient(db.url);
  for (let round = 0; round < 25; round++) {
    await makeDue(db.pool, parcelId);
    const lookupId = await permitFor(db.pool, parcelId);
    await ageLease(db.pool, parcelId, "101 seconds");
    const [recorded] = await Promise.all([
      recordLookups(recorder, [found(lookupId)], "worker"),
      sweep(sweeper),
    ]);
    // Whoever was told to come again comes again.
    if (recorded[0]?.outcome === "busy") await recordLookups(recorder, [found(lookupId)], "worker");
    const { rows } = await db.pool.query<{ outcome: string }>(
      "select outcome from bookpost_private.lookups where id = $1",
      [lookupId],
    );
    expect(rows).toHaveLength(1);
  }
});

test("a sweep does not touch a parcel whose lookup is being recorded", async () => {
  const api = await makeApi(db.pool);
  const { parcelId } = await trackBook(db.pool, api.code);
  const lookupId = await permitFor(db.pool, parcelId);
  await ageLease(db.pool, parcelId, "101 seconds");
  const recorder = await openClient(db.url);
  await recorder.query("begin");
  await recordLookups(recorder, [found(lookupId)], "worker");
  expect(await sweep(db.pool)).toBe(0);
  await recorder.query("commit");
  expect(
    await one(db.pool, "select outcome from bookpost_private.lookups where id = $1", [lookupId]),
  ).toEqual({ outcome: "updated" });
});

testThatAllIsQuiet(db);
