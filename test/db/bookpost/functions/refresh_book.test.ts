import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { ageParcel } from "../../../helpers/ageing.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { failJobForGood, jobsOf } from "../../../helpers/jobsOf.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { type ApiLimits, makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const REFRESH = "select bookpost.refresh_book($1)";

async function oneBook(limits: ApiLimits = {}) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits);
  const tracked = await trackBook(client, api.code);
  const refresh = () => client.query(REFRESH, [tracked.bookId]);
  const isDue = async () =>
    (
      await one<{ is_due: boolean }>(
        client,
        "select next_check_at <= clock_timestamp() as is_due from bookpost_private.checks where parcel_id = $1",
        [tracked.parcelId],
      )
    ).is_due;
  return { client, api, ...tracked, refresh, isDue };
}

test("a book that waits for its next look is due at once", async () => {
  const { client, parcelId, refresh, isDue } = await oneBook({ min_check_interval: "0" });
  await lookUp(client, parcelId, (id) => found(id));
  expect(await isDue()).toBe(false);
  await refresh();
  expect(await isDue()).toBe(true);
});

test("but not sooner after the last look than the carrier allows", async () => {
  const { client, parcelId, refresh } = await oneBook({ min_check_interval: "2 hours" });
  await lookUp(client, parcelId, (id) => found(id));
  for (let i = 0; i < 3; i++) await refresh();
  expect((await checkOf(client, parcelId)).wait).toBe(7200);
});

test("it never puts a look off", async () => {
  const { client, parcelId, refresh } = await oneBook({ min_check_interval: "2 hours" });
  await lookUp(client, parcelId, (id) => found(id));
  await client.query("update bookpost_private.checks set next_check_at = last_looked_at");
  await refresh();
  expect((await checkOf(client, parcelId)).wait).toBe(0);
});

describe("refused", () => {
  test("a book that does not exist", async () => {
    const { client } = await oneBook();
    expect(await tryOut(client, REFRESH, [randomUUID()])).toMatchObject({ code: "BP404" });
    expect(await tryOut(client, REFRESH, [null])).toMatchObject({ code: "BP404" });
  });

  test("a book in no parcel", async () => {
    const { client } = await oneBook();
    const owner = await makeUser(client);
    const { id } = await one<{ id: string }>(
      client,
      "insert into bookpost.books (owner_id, title) values ($1, 'Emma') returning id",
      [owner],
    );
    expect(await tryOut(client, REFRESH, [id])).toMatchObject({ code: "BP400" });
  });

  test("a book whose carrier cannot be asked", async () => {
    const { client } = await oneBook();
    const { bookId } = await trackBook(client, "parcelforce");
    expect(await tryOut(client, REFRESH, [bookId])).toMatchObject({
      code: "BP400",
      message: expect.stringContaining('"parcelforce"'),
    });
  });

  test("a book whose number has passed to a newer parcel; nothing is changed", async () => {
    const { client, api, bookId, parcelId, number } = await oneBook();
    await client.query("select bookpost.stop_tracking($1)", [bookId]);
    await trackBook(client, api.code, { number, title: "Another" });
    expect(await tryOut(client, REFRESH, [bookId])).toMatchObject({
      code: "BP409",
      message: expect.stringContaining(number),
    });
    expect((await parcelOf(client, parcelId)).closed_reason).toBe("stopped");
  });
});

describe("what was closed", () => {
  test("by a stop is opened again, with its owner's relation", async () => {
    const { client, bookId, parcelId, refresh, isDue } = await oneBook();
    await client.query("select bookpost.stop_tracking($1)", [bookId]);
    await refresh();
    expect(await parcelOf(client, parcelId)).toMatchObject({
      closed_at: null,
      closed_reason: null,
    });
    expect(await checkOf(client, parcelId)).toMatchObject({ pause_reason: null });
    expect(await isDue()).toBe(true);
    expect(
      await one(client, "select stopped_at from bookpost.parcel_books where book_id = $1", [
        bookId,
      ]),
    ).toEqual({ stopped_at: null });
  });

  test("after delivery is looked at once more and then closed again", async () => {
    const { client, parcelId, refresh } = await oneBook();
    await lookUp(client, parcelId, (id) => found(id, { events: [scan(ago(1), "delivered")] }));
    await ageParcel(client, parcelId, "8 days");
    await lookUp(client, parcelId, (id) => found(id, { raw_text: "2" }));
    await refresh();
    expect((await parcelOf(client, parcelId)).closed_at).toBeNull();
    await lookUp(client, parcelId, (id) => found(id, { raw_text: "3" }));
    expect((await parcelOf(client, parcelId)).closed_reason).toBe("delivered");
  });
});

test("a stopped relation lives again also where the parcel went on for another owner", async () => {
  const { client, api, bookId, number, refresh } = await oneBook();
  await trackBook(client, api.code, { number, owner: await makeUser(client) });
  await client.query("select bookpost.stop_tracking($1)", [bookId]);
  await refresh();
  expect(
    await one(client, "select stopped_at from bookpost.parcel_books where book_id = $1", [bookId]),
  ).toEqual({ stopped_at: null });
});

describe("what was set aside", () => {
  test("is due again, and its failed job does not set it aside once more", async () => {
    const { client, parcelId, refresh } = await oneBook();
    await failJobForGood(client, parcelId);
    await dispatch(client);
    expect((await checkOf(client, parcelId)).pause_reason).toBe("quarantined");
    await refresh();
    await dispatch(client);
    expect((await checkOf(client, parcelId)).pause_reason).toBeNull();
    expect(await jobsOf(client, parcelId)).toMatchObject([{ attempts: 0 }]);
  });

  test("then stopped, then refreshed, is due again as well", async () => {
    const { client, bookId, parcelId, refresh } = await oneBook();
    await failJobForGood(client, parcelId);
    await dispatch(client);
    await client.query("select bookpost.stop_tracking($1)", [bookId]);
    await refresh();
    await dispatch(client);
    expect((await checkOf(client, parcelId)).pause_reason).toBeNull();
  });

  test("refreshed before dispatch has set it aside is not set aside after all", async () => {
    const { client, parcelId, refresh } = await oneBook();
    await failJobForGood(client, parcelId);
    await refresh();
    await dispatch(client);
    expect((await checkOf(client, parcelId)).pause_reason).toBeNull();
  });
});

test("a book with an old parcel and a live one: the live one is looked at", async () => {
  const { client, api } = await oneBook({ min_check_interval: "0" });
  const first = await trackBook(client, api.code, { appBookId: "b1" });
  await lookUp(client, first.parcelId, (id) => found(id, { events: [scan(ago(1), "cancelled")] }));
  const second = await trackBook(client, api.code, { appBookId: "b1" });
  await lookUp(client, second.parcelId, (id) => found(id));
  await client.query(REFRESH, [second.bookId]);
  expect((await parcelOf(client, first.parcelId)).closed_reason).toBe("cancelled");
  expect((await checkOf(client, second.parcelId)).next_check_at?.getTime()).toBeLessThanOrEqual(
    Date.now(),
  );
});
