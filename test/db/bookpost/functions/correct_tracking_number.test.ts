import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { parcelOf } from "../../../helpers/parcelOf.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { newNumber, trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const CORRECT = "select bookpost.correct_tracking_number($1, $2, $3)";
const CORRECTING = "bookpost.correct_tracking_number";

async function oneBook(client: ClientBase, options: { readonly sentOn?: string } = {}) {
  const api = await makeApi(client);
  const tracked = await trackBook(client, api.code, options);
  const correct = (number: string | null, carrier: string | null = null) =>
    client.query(CORRECT, [tracked.bookId, number, carrier]);
  const live = async () =>
    (
      await client.query<{ id: string; tracking_number: string; carrier_code: string }>(
        `select p.id, p.tracking_number, p.carrier_code from bookpost.parcel_books pb
         join bookpost.parcels p on p.id = pb.parcel_id
         where pb.book_id = $1 and pb.stopped_at is null and p.closed_at is null`,
        [tracked.bookId],
      )
    ).rows;
  return { client, api, ...tracked, correct, live };
}

testRule(
  db,
  "a corrected number is another parcel, and the only one the book is in",
  async (client) => {
    const { correct, live, parcelId, api } = await oneBook(client);
    await correct(" right-1234 ");
    expect(await live()).toEqual([
      {
        id: expect.not.stringMatching(parcelId),
        tracking_number: "RIGHT1234",
        carrier_code: api.code,
      },
    ]);
    expect(await parcelOf(client, parcelId)).toMatchObject({ closed_at: null });
    await client.query("select bookpost_private.close_forsaken_parcels()");
    expect(await parcelOf(client, parcelId)).toMatchObject({ closed_reason: "stopped" });
  },
  {
    "the book stays in the former parcel too": {
      function: "bookpost_private.put_in_parcel",
      from: "pb.parcel_id <> put_in_parcel.parcel_id",
      to: "false",
    },
  },
);

testRule(
  db,
  "the same number, with its carrier or without, changes nothing",
  async (client) => {
    const { correct, number, api } = await oneBook(client);
    const before = await tableDigests(client);
    await correct(number.toLowerCase());
    await correct(`${number} `, api.code);
    expect(await tableDigests(client)).toEqual(before);
  },
  {
    "it is not compared": {
      function: CORRECTING,
      from: "and v_number = v_former.tracking_number",
      to: "and false",
    },
  },
);

testRule(
  db,
  "the same number with another carrier is another parcel",
  async (client) => {
    const { correct, live, number } = await oneBook(client);
    const other = await makeApi(client);
    await correct(number, other.code);
    expect(await live()).toMatchObject([{ tracking_number: number, carrier_code: other.code }]);
  },
  {
    "only the number is compared": {
      function: CORRECTING,
      from: "v_carrier.code = v_former.carrier_code",
      to: "true",
    },
  },
);

testRule(
  db,
  "the day on which it was posted goes along, unless the other parcel has one",
  async (client) => {
    const { correct, live, api } = await oneBook(client, { sentOn: "2025-08-01" });
    const sentOn = async () =>
      one(client, "select sent_on::text from bookpost.parcels where id = $1", [
        (await live())[0]?.id,
      ]);
    await correct(newNumber());
    expect(await sentOn()).toEqual({ sent_on: "2025-08-01" });
    const known = await trackBook(client, api.code, { title: "Another", sentOn: "2025-07-01" });
    await correct(known.number);
    expect(await sentOn()).toEqual({ sent_on: "2025-07-01" });
  },
  {
    "it is forgotten": { function: CORRECTING, from: "v_former.sent_on is not null", to: "false" },
    "it goes before the other's own": {
      function: CORRECTING,
      from: "select p.sent_on is null",
      to: "select true",
    },
  },
);

test("one owner's correction does not end another's tracking of the former number", async () => {
  const client = await rolledBack(db);
  const { correct, api, number, parcelId } = await oneBook(client);
  await trackBook(client, api.code, { number, owner: await makeUser(client) });
  await correct(newNumber());
  await client.query("select bookpost_private.close_forsaken_parcels()");
  expect(await parcelOf(client, parcelId)).toMatchObject({ closed_at: null });
});

test("corrected there and back, the book is in its former parcel again", async () => {
  const client = await rolledBack(db);
  const { correct, live, number, parcelId } = await oneBook(client);
  await correct(newNumber());
  await correct(number);
  expect(await live()).toMatchObject([{ id: parcelId }]);
});

test.each([
  ["123", null, "4 to 40 letters and digits"],
  [null, null, "4 to 40 letters and digits"],
  ["RIGHT1234", "nix", 'no carrier "nix"'],
])("cannot be corrected to %j of carrier %j", async (number, carrier, says) => {
  const client = await rolledBack(db);
  const { bookId } = await oneBook(client);
  const before = await tableDigests(client);
  expect(await tryOut(client, CORRECT, [bookId, number, carrier])).toMatchObject({
    code: "BP400",
    message: expect.stringContaining(says),
  });
  expect(await tableDigests(client)).toEqual(before);
});

test("a book in no parcel has no number to correct", async () => {
  const client = await rolledBack(db);
  const { id } = await one<{ id: string }>(
    client,
    "insert into bookpost.books (owner_id, title) values ($1, 'Emma') returning id",
    [await makeUser(client)],
  );
  expect(await tryOut(client, CORRECT, [id, "RIGHT1234", "ups"])).toMatchObject({
    code: "BP400",
    hint: "Track it first.",
  });
});
