import { randomUUID } from "node:crypto";
import type { ClientBase } from "pg";
import { describe, expect, test } from "vitest";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { found } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const STOP = "select bookpost.stop_tracking($1)";

async function sharedParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const hers = await trackBook(client, api.code, { owner: ann });
  const his = await trackBook(client, api.code, { owner: ben, number: hers.number });
  const parcel = () => parcelOf(client, hers.parcelId);
  return { client, api, ann, ben, hers, his, parcel };
}

test("one owner's stop does not end another's tracking", async () => {
  const { client, hers, parcel } = await sharedParcel();
  await client.query(STOP, [hers.bookId]);
  expect((await parcel()).closed_at).toBeNull();
  await permitFor(client, hers.parcelId);
});

test("the last owner's stop closes the parcel", async () => {
  const { client, hers, his, parcel } = await sharedParcel();
  await client.query(STOP, [hers.bookId]);
  await client.query(STOP, [his.bookId]);
  expect(await parcel()).toMatchObject({ closed_reason: "stopped" });
  expect(await checkOf(client, hers.parcelId)).toMatchObject({
    next_check_at: null,
    pause_reason: "closed",
  });
});

test("a lookup in flight is fenced off by the stop", async () => {
  const { client, hers, his, parcel } = await sharedParcel();
  const lookupId = await permitFor(client, hers.parcelId);
  await client.query(STOP, [hers.bookId]);
  await client.query(STOP, [his.bookId]);
  expect(await recordLookups(client, [found(lookupId)], "worker")).toEqual([]);
  expect((await parcel()).closed_reason).toBe("stopped");
});

test("stopping twice is stopping once", async () => {
  const { client, hers } = await sharedParcel();
  await client.query(STOP, [hers.bookId]);
  const before = await tableDigests(client);
  await client.query(STOP, [hers.bookId]);
  expect(await tableDigests(client)).toEqual(before);
});

test("a book that does not exist is BP404", async () => {
  const client = await rolledBack(db);
  expect(await tryOut(client, STOP, [randomUUID()])).toMatchObject({ code: "BP404" });
  expect(await tryOut(client, STOP, [null])).toMatchObject({ code: "BP404" });
});

describe("a parcel is closed by the next sweep after its last relation ended with", () => {
  const endings: readonly [
    string,
    (client: ClientBase, made: Awaited<ReturnType<typeof sharedParcel>>) => Promise<unknown>,
  ][] = [
    ["the deletion of its books", (client) => client.query("delete from bookpost.books")],
    ["the deletion of its owners", (client) => client.query("delete from bookpost.users")],
    [
      "the deletion of the relations",
      (client) => client.query("delete from bookpost.parcel_books"),
    ],
    [
      "a stop written by hand",
      (client) => client.query("update bookpost.parcel_books set stopped_at = clock_timestamp()"),
    ],
    [
      "a stop of one and the deletion of the other",
      async (client, { hers, ben }) => {
        await client.query(STOP, [hers.bookId]);
        await client.query("delete from bookpost.users where id = $1", [ben]);
      },
    ],
  ];

  test.each(endings)("%s", async (_, end) => {
    const made = await sharedParcel();
    await end(made.client, made);
    await sweep(made.client);
    expect(await made.parcel()).toMatchObject({ closed_reason: "stopped" });
  });

  test("and not while one is left", async () => {
    const { client, ann, parcel } = await sharedParcel();
    await client.query("delete from bookpost.users where id = $1", [ann]);
    await sweep(client);
    expect((await parcel()).closed_at).toBeNull();
  });

  test("and not when the book was tracked again before the sweep", async () => {
    const { client, api, hers, parcel } = await sharedParcel();
    await client.query("delete from bookpost.books");
    await trackBook(client, api.code, { number: hers.number });
    await sweep(client);
    expect((await parcel()).closed_at).toBeNull();
  });
});

test("deleting a parcel takes all of it along", async () => {
  const { client, hers } = await sharedParcel();
  await permitFor(client, hers.parcelId);
  await client.query("delete from bookpost.parcels where id = $1", [hers.parcelId]);
  const { rows } = await client.query(
    `select 'checks' from bookpost_private.checks union all select 'leases' from bookpost_private.leases
     union all select 'relations' from bookpost.parcel_books`,
  );
  expect(rows).toEqual([]);
});
