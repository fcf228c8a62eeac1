import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** One parcel with a book of Ann's and one of Ben's in it. */
async function sharedParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const hers = await trackBook(client, api.code, { owner: ann });
  const his = await trackBook(client, api.code, { owner: ben, number: hers.number });
  const tell = (status: string, hours: number) =>
    lookUp(client, hers.parcelId, (id) => found(id, { events: [scan(ago(hours), status)] }));
  return { client, api, ann, ben, hers, his, tell };
}

async function told(client: ClientBase) {
  const { rows } = await client.query<{ user_id: string; status: string; status_version: number }>(
    "select user_id, status, status_version from bookpost.notifications order by status_version, user_id",
  );
  return rows;
}

test("every owner of the parcel is told of each new stage once", async () => {
  const { client, ann, ben, tell } = await sharedParcel();
  await tell("in_transit", 9);
  await tell("out_for_delivery", 3);
  await tell("out_for_delivery", 2);
  const rows = await told(client);
  expect(rows.map(({ status, status_version }) => `${status_version} ${status}`)).toEqual([
    "1 in_transit",
    "1 in_transit",
    "2 out_for_delivery",
    "2 out_for_delivery",
  ]);
  expect(new Set(rows.map(({ user_id }) => user_id))).toEqual(new Set([ann, ben]));
});

test("an owner who stopped is not told, and the other still is", async () => {
  const { client, ben, hers, tell } = await sharedParcel();
  await client.query("select bookpost.stop_tracking($1)", [hers.bookId]);
  await tell("in_transit", 9);
  expect((await told(client)).map(({ user_id }) => user_id)).toEqual([ben]);
});

test("an owner of two books in one parcel is told of each book", async () => {
  const { client, ann, hers, tell, api } = await sharedParcel();
  await trackBook(client, api.code, { owner: ann, number: hers.number, title: "Another" });
  await tell("in_transit", 9);
  expect((await told(client)).filter(({ user_id }) => user_id === ann)).toHaveLength(2);
});

test("the same stage reached again later is told again, under a new version", async () => {
  const { client, tell } = await sharedParcel();
  await tell("exception", 9);
  await tell("in_transit", 8);
  await tell("exception", 7);
  expect((await told(client)).map(({ status_version }) => status_version)).toEqual([
    1, 1, 2, 2, 3, 3,
  ]);
});

test("a first answer without a stage is told to nobody", async () => {
  const { client, hers } = await sharedParcel();
  await lookUp(client, hers.parcelId, (id) => found(id));
  expect(await told(client)).toEqual([]);
});

test.each(["not_found", "unavailable", "malformed", "rejected", "rate_limited"])(
  "%s is told to nobody",
  async (outcome) => {
    const { client, hers } = await sharedParcel();
    await lookUp(client, hers.parcelId, (id) => failed(id, outcome));
    expect(await told(client)).toEqual([]);
  },
);

test("a status and its notifications stand or fall together", async () => {
  const { client, tell } = await sharedParcel();
  await client.query("savepoint before");
  await tell("in_transit", 9);
  await client.query("rollback to savepoint before");
  expect(await told(client)).toEqual([]);
  expect(
    (await client.query("select from bookpost.parcels where status <> 'pending'")).rows,
  ).toEqual([]);
});

test("when its owner first heard of a book is kept, also where the answer held nothing new", async () => {
  const { client, api, hers, tell } = await sharedParcel();
  const synced = async () =>
    (
      await client.query<{ n: number }>(
        "select count(first_synced_at)::integer as n from bookpost.parcel_books",
      )
    ).rows[0]?.n;
  await lookUp(client, hers.parcelId, (id) => failed(id, "unavailable"));
  expect(await synced()).toBe(0);
  await tell("in_transit", 9);
  expect(await synced()).toBe(2);
  await trackBook(client, api.code, { owner: await makeUser(client), number: hers.number });
  const told = (id: string) => found(id, { events: [scan(ago(5), "in_transit")], digest: "same" });
  await lookUp(client, hers.parcelId, told);
  await trackBook(client, api.code, { owner: await makeUser(client), number: hers.number });
  const again = await lookUp(client, hers.parcelId, told);
  expect(again?.outcome).toBe("unchanged");
  expect(await synced()).toBe(4);
});
