import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** Status, now, estimate (first and last day, wall clock), offset there, declared value → hours ahead. */
test.each([
  ["in transit, nothing special", "in_transit", "2026-06-10T12:00Z", null, null, null, null, 0],
  ["out for delivery", "out_for_delivery", "2026-06-10T12:00Z", null, null, null, null, 24],
  ["an exception", "exception", "2026-06-10T12:00Z", null, null, null, null, 6],
  ["to be collected", "available_for_pickup", "2026-06-10T12:00Z", null, null, null, null, 3],
  ["delivered", "delivered", "2026-06-10T12:00Z", null, null, null, null, 0],
  ["due today", "in_transit", "2026-06-10T12:00Z", "2026-06-10", "2026-06-10", null, null, 12],
  ["due this week", "in_transit", "2026-06-10T12:00Z", "2026-06-08", "2026-06-12", null, null, 12],
  ["due in two days", "in_transit", "2026-06-10T12:00Z", "2026-06-12", "2026-06-12", null, null, 0],
  [
    "due tomorrow, five hours before",
    "in_transit",
    "2026-06-10T19:00Z",
    "2026-06-11",
    "2026-06-11",
    null,
    null,
    12,
  ],
  [
    "the same hour where it is still morning",
    "in_transit",
    "2026-06-10T19:00Z",
    "2026-06-11",
    "2026-06-11",
    "-08:00",
    null,
    0,
  ],
  ["a day late", "in_transit", "2026-06-11T12:00Z", "2026-06-10", "2026-06-10", null, null, 12],
  ["three days late", "in_transit", "2026-06-13T12:00Z", "2026-06-10", "2026-06-10", null, null, 0],
  [
    "an estimate that has been overtaken",
    "delivered",
    "2026-06-10T12:00Z",
    "2026-06-10",
    "2026-06-10",
    null,
    null,
    0,
  ],
  ["worth 100", "in_transit", "2026-06-10T12:00Z", null, null, null, "100", 0],
  ["worth 1,000", "in_transit", "2026-06-10T12:00Z", null, null, null, "1000", 4],
  ["worth 10,000", "in_transit", "2026-06-10T12:00Z", null, null, null, "10000", 8],
  ["worth ten million", "in_transit", "2026-06-10T12:00Z", null, null, null, "10000000", 12],
  ["worth nothing", "in_transit", "2026-06-10T12:00Z", null, null, null, "0", 0],
  [
    "dear, and due today",
    "in_transit",
    "2026-06-10T12:00Z",
    "2026-06-10",
    "2026-06-10",
    null,
    "10000",
    20,
  ],
] as const)("%s", async (_, status, at, from, until, offset, value, hours) => {
  const { rows } = await db.pool.query<{ hours: number }>(
    `select extract(epoch from bookpost_private.head_start($1, $2, $3, $4, $5, $6))::float8 / 3600 as hours`,
    [status, at, from, until, offset, value],
  );
  expect(rows[0]?.hours).toBeCloseTo(hours, 5);
});

test("ten thousand yen count as a hundred", async () => {
  const { rows } = await db.pool.query(
    `select bookpost_private.comparable_value(10000, 'JPY')::float8 as yen, bookpost_private.comparable_value(10000, 'EUR')::float8 as euro,
       bookpost_private.comparable_value(10000, null)::float8 as unsaid`,
  );
  expect(rows).toEqual([{ yen: 100, euro: 10000, unsaid: 10000 }]);
});

test("a new parcel has a day's head start; its first look gives it what its status and books deserve", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const owner = await makeUser(client);
  const { rows: tracked } = await client.query<{ parcel_id: string }>(
    `with b as (select * from bookpost.track_book('A folio', $1, 'FOLIO0001', owner => $2, declared_value => 60000, declared_currency => 'EUR')
     ), c as (select * from bookpost.track_book('A quarto', $1, 'FOLIO0001', owner => $2, declared_value => 40000, declared_currency => 'EUR'))
     select p.id as parcel_id from b, c, lateral (select id from bookpost.parcels where tracking_number = 'FOLIO0001') p`,
    [code, owner],
  );
  const parcelId =
    tracked[0]?.parcel_id ??
    (
      await client.query<{ id: string }>(
        "select id from bookpost.parcels where tracking_number = 'FOLIO0001'",
      )
    ).rows[0]?.id ??
    "";
  const hours = async () =>
    (
      await client.query<{ hours: number }>(
        "select extract(epoch from head_start)::float8 / 3600 as hours from bookpost_private.checks where parcel_id = $1",
        [parcelId],
      )
    ).rows[0]?.hours;
  expect(await hours()).toBe(24);
  await lookUp(client, parcelId, (id) =>
    found(id, { events: [scan(new Date().toISOString(), "in_transit")] }),
  );
  // Together they are worth 100,000.
  expect(await hours()).toBeCloseTo(12, 5);
});

test.each(["rate_limited", "local", "unavailable"])(
  "a first look that ended as %s was none: the head start stays",
  async (outcome) => {
    const client = await rolledBack(db);
    const { code } = await makeApi(client);
    const { parcelId } = await trackBook(client, code);
    await lookUp(client, parcelId, (id) => failed(id, outcome));
    const { rows } = await client.query(
      "select head_start = '1 day' as is_a_day from bookpost_private.checks where parcel_id = $1",
      [parcelId],
    );
    expect(rows).toEqual([{ is_a_day: true }]);
  },
);

test("a person who asks for a look now gives her parcel a day's head start", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const { rows } = await client.query<{ id: string }>(
    "select id from bookpost.track_book('Emma', $1, 'EMMA00001')",
    [code],
  );
  const { rows: parcels } = await client.query<{ id: string }>(
    "select id from bookpost.parcels where tracking_number = 'EMMA00001'",
  );
  await lookUp(client, parcels[0]?.id ?? "", (id) => found(id));
  await client.query("select bookpost.refresh_book($1)", [rows[0]?.id]);
  const { rows: checks } = await client.query(
    "select head_start = '1 day' as is_a_day from bookpost_private.checks where parcel_id = $1",
    [parcels[0]?.id],
  );
  expect(checks).toEqual([{ is_a_day: true }]);
});
