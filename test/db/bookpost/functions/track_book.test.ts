import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { found } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const TRACK = "select bookpost.track_book(title => $1, carrier => $2, tracking_number => $3)";

test("a tracked book is due at once, and dispatch is woken", async () => {
  const client = await rolledBack(db);
  const { parcelId } = await trackBook(client, "ups", { number: "1z 999-aa1" });
  expect(await parcelOf(client, parcelId)).toMatchObject({ status: "pending", closed_at: null });
  expect(
    await one(
      client,
      `select tracking_number, api_code, next_check_at <= clock_timestamp() as is_due
       from bookpost.parcels p join bookpost_private.checks c on c.parcel_id = p.id`,
    ),
  ).toEqual({ tracking_number: "1Z999AA1", api_code: "ups", is_due: true });
  expect(
    await one(
      client,
      "select count(*)::integer as wakes from graphile_worker.jobs where task_identifier = 'dispatch' and run_at <= clock_timestamp()",
    ),
  ).toEqual({ wakes: 1 });
});

test("many books in one transaction are one wake-up", async () => {
  const client = await rolledBack(db);
  for (let i = 0; i < 20; i++) await trackBook(client, "ups");
  expect(await one(client, "select count(*)::integer as wakes from graphile_worker.jobs")).toEqual({
    wakes: 1,
  });
});

describe("refused, in words, and nothing is left behind", () => {
  test.each([
    ["no title", [null, "ups", "1Z999"], "A book needs a title."],
    ["an empty title", ["", "ups", "1Z999"], "A book needs a title."],
    ["a blank title", [" \t\u00a0\n", "ups", "1Z999"], "A book needs a title."],
    ["no carrier", ["Emma", null, "1Z999"], 'There is no carrier "".'],
    ["an empty carrier", ["Emma", "", "1Z999"], 'There is no carrier "".'],
    ["an unknown carrier", ["Emma", "hermes", "1Z999"], 'There is no carrier "hermes".'],
    ["a carrier in capitals", ["Emma", "UPS", "1Z999"], 'There is no carrier "UPS".'],
    [
      "no number",
      ["Emma", "ups", null],
      'A tracking number has 4 to 40 letters and digits; "" has not.',
    ],
    ["an empty number", ["Emma", "ups", ""], "A tracking number has"],
    ["a number of three", ["Emma", "ups", "1 2-3"], "A tracking number has"],
    ["a number of 41", ["Emma", "ups", "1".repeat(41)], "A tracking number has"],
    ["a number with a slash", ["Emma", "ups", "1Z999/../secret"], "A tracking number has"],
    ["full-width digits", ["Emma", "ups", "１２３４５６"], "A tracking number has"],
    ["an SQL tail", ["Emma", "ups", "1Z999'; drop table x; --"], "A tracking number has"],
  ])("%s", async (_, values, message) => {
    const client = await rolledBack(db);
    const before = await tableDigests(client);
    expect(await tryOut(client, TRACK, values)).toMatchObject({
      code: "BP400",
      message: expect.stringContaining(message),
    });
    expect(await tableDigests(client)).toEqual(before);
  });

  test("a refusal quotes a number of a megabyte only in part", async () => {
    const client = await rolledBack(db);
    const refusal = await tryOut(client, TRACK, ["Emma", "ups", "9".repeat(1_000_000)]);
    expect(refusal?.message.length).toBeLessThan(200);
  });

  test("an unknown carrier: the hint lists those there are", async () => {
    const client = await rolledBack(db);
    const refusal = await tryOut(client, TRACK, ["Emma", "hermes", "1Z999"]);
    expect(refusal?.hint).toContain("dhl");
    expect(refusal?.hint).toContain("ups");
  });

  test("an owner who does not exist is BP404", async () => {
    const client = await rolledBack(db);
    expect(
      await tryOut(client, `${TRACK.slice(0, -1)}, owner => $4)`, [
        "Emma",
        "ups",
        "1Z999",
        randomUUID(),
      ]),
    ).toMatchObject({ code: "BP404" });
  });

  test.each([
    ["declared_value => 10", "books_declared_value_has_a_currency"],
    ["declared_currency => 'EUR'", "books_declared_value_has_a_currency"],
    ["declared_value => -1, declared_currency => 'EUR'", "books_declared_value_is_not_negative"],
    ["tracking_url => 'http://example.com'", "parcel_books_tracking_url_is_https"],
    ["tracking_url => 'javascript:alert(1)'", "parcel_books_tracking_url_is_https"],
  ])("%s breaks the rule %s", async (argument, constraint) => {
    const client = await rolledBack(db);
    expect(
      await tryOut(client, `${TRACK.slice(0, -1)}, ${argument})`, ["Emma", "ups", "1Z999"]),
    ).toMatchObject({ constraint });
  });
});

describe("asked again", () => {
  test("the same title in the same parcel is the same book", async () => {
    const client = await rolledBack(db);
    const first = await trackBook(client, "ups", { number: "1Z999" });
    const second = await trackBook(client, "ups", { number: "1z-999 " });
    expect(second).toMatchObject({ bookId: first.bookId, parcelId: first.parcelId });
  });

  test("another title in the same parcel is another book, in one parcel", async () => {
    const client = await rolledBack(db);
    const first = await trackBook(client, "ups", { number: "1Z999", title: "Emma" });
    const second = await trackBook(client, "ups", { number: "1Z999", title: "Persuasion" });
    expect(second.bookId).not.toBe(first.bookId);
    expect(second.parcelId).toBe(first.parcelId);
  });

  test("the app's book id is the book, whatever the title", async () => {
    const client = await rolledBack(db);
    const first = await trackBook(client, "ups", {
      number: "1Z999",
      appBookId: "b1",
      title: "Ema",
    });
    const second = await trackBook(client, "ups", {
      number: "1Z999",
      appBookId: "b1",
      title: "Emma",
    });
    expect(second.bookId).toBe(first.bookId);
    expect(await one(client, "select title from bookpost.books")).toEqual({ title: "Emma" });
  });

  test("with another number, the book moves to that parcel, and the former one is closed", async () => {
    const client = await rolledBack(db);
    const api = await makeApi(client);
    const wrong = await trackBook(client, api.code, { appBookId: "b1" });
    const right = await trackBook(client, api.code, { appBookId: "b1" });
    expect(right.bookId).toBe(wrong.bookId);
    await client.query("select bookpost_private.sweep()");
    const { rows } = await client.query("select id, closed_reason from bookpost.parcels");
    expect(new Map(rows.map((row) => [row.id, row.closed_reason]))).toEqual(
      new Map([
        [wrong.parcelId, "stopped"],
        [right.parcelId, null],
      ]),
    );
  });

  test("does not move the next look", async () => {
    const client = await rolledBack(db);
    const api = await makeApi(client);
    const { parcelId, number } = await trackBook(client, api.code);
    await lookUp(client, parcelId, (id) => found(id));
    const before = await checkOf(client, parcelId);
    await trackBook(client, api.code, { number });
    expect(await checkOf(client, parcelId)).toEqual(before);
  });

  test("after a stop the book is tracked again", async () => {
    const client = await rolledBack(db);
    const api = await makeApi(client);
    const first = await trackBook(client, api.code, { appBookId: "b1" });
    await client.query("select bookpost.stop_tracking($1)", [first.bookId]);
    const again = await trackBook(client, api.code, { appBookId: "b1", number: first.number });
    expect(again.bookId).toBe(first.bookId);
    // The old parcel was closed with the stop: the number lives a new life.
    expect(again.parcelId).not.toBe(first.parcelId);
    await permitFor(client, again.parcelId);
  });

  test("after a stop, in a parcel that goes on for another, the relation lives again", async () => {
    const client = await rolledBack(db);
    const api = await makeApi(client);
    const [ann, ben] = [await makeUser(client), await makeUser(client)];
    const hers = await trackBook(client, api.code, { owner: ann, appBookId: "b1" });
    await trackBook(client, api.code, { owner: ben, number: hers.number });
    await client.query("select bookpost.stop_tracking($1)", [hers.bookId]);
    const again = await trackBook(client, api.code, {
      owner: ann,
      appBookId: "b1",
      number: hers.number,
    });
    expect(again).toMatchObject({ bookId: hers.bookId, parcelId: hers.parcelId });
    expect(
      await one(
        client,
        "select count(*)::integer as live from bookpost.parcel_books where stopped_at is null",
      ),
    ).toEqual({ live: 2 });
  });
});

test("two owners of one number share the parcel and have a book each", async () => {
  const client = await rolledBack(db);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const hers = await trackBook(client, "ups", { owner: ann, number: "1Z999" });
  const his = await trackBook(client, "ups", { owner: ben, number: "1Z999" });
  expect(his.parcelId).toBe(hers.parcelId);
  expect(his.bookId).not.toBe(hers.bookId);
  expect([hers.ownerId, his.ownerId]).toEqual([ann, ben]);
});

test("the number of a closed parcel begins a new parcel, and the old one keeps its story", async () => {
  const client = await rolledBack(db);
  const first = await trackBook(client, "ups", { number: "1Z999" });
  await client.query("select bookpost.stop_tracking($1)", [first.bookId]);
  const second = await trackBook(client, "ups", { number: "1Z999" });
  expect(second.parcelId).not.toBe(first.parcelId);
  expect((await parcelOf(client, first.parcelId)).closed_reason).toBe("stopped");
});

test("a carrier whose parcels nobody can be asked about is tracked with that reason, and not dispatched", async () => {
  const client = await rolledBack(db);
  const { parcelId } = await trackBook(client, "parcelforce");
  expect(await checkOf(client, parcelId)).toMatchObject({
    next_check_at: null,
    pause_reason: "no_api",
  });
});

test("books without an owner all belong to the one local user", async () => {
  const client = await rolledBack(db);
  const [a, b] = [await trackBook(client, "ups"), await trackBook(client, "ups")];
  expect(a.ownerId).toBe(b.ownerId);
  expect(
    await one(client, "select app_user_id from bookpost.users where id = $1", [a.ownerId]),
  ).toEqual({ app_user_id: "local" });
});

test("one owner's link is not shown as another's", async () => {
  const client = await rolledBack(db);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const { parcelId } = await trackBook(client, "ups", { owner: ann, number: "1Z999" });
  await client.query(
    "select bookpost.track_book('Emma', 'ups', '1Z999', owner => $1, tracking_url => 'https://evil.example/')",
    [ben],
  );
  const pageFor = async (userId: string) => {
    await client.query("savepoint page");
    await client.query("select set_config('bookpost.user_id', $1, true)", [userId]);
    await client.query("set local role bookpost_member");
    const page = await one<{ page: string }>(
      client,
      "select bookpost.parcels_tracking_page(p) as page from bookpost.parcels p where id = $1",
      [parcelId],
    );
    await client.query("rollback to savepoint page");
    return page.page;
  };
  expect(await pageFor(ann)).toContain("ups.com");
  expect(await pageFor(ben)).toBe("https://evil.example/");
});

test("a live parcel that lost its check is mended by whoever tracks it", async () => {
  const client = await rolledBack(db);
  const { parcelId, number } = await trackBook(client, "ups");
  await client.query("delete from bookpost_private.checks");
  await client.query("set local statement_timeout = '5s'");
  await trackBook(client, "ups", { number });
  expect((await checkOf(client, parcelId)).next_check_at).not.toBeNull();
});
