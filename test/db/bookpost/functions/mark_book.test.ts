import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();
const MARK = "select id from bookpost.mark_book($1, $2, $3)";

async function bookOf(carrier: string) {
  const client = await rolledBack(db);
  const { id } = await one<{ id: string }>(
    client,
    "select id from bookpost.track_book('Emma', $1, 'HAND12345')",
    [carrier],
  );
  return { client, id };
}

test("a person sets the status of a parcel that nobody can be asked about; it is kept as a scan, and the owner is told", async () => {
  const { client, id } = await bookOf("parcelforce");
  await client.query(MARK, [id, "in_transit", "the seller wrote that it has left"]);
  expect(await one(client, "select status, status_version from bookpost.parcels")).toEqual({
    status: "in_transit",
    status_version: 1,
  });
  expect(
    await one(client, "select status, raw_code, description from bookpost.tracking_events"),
  ).toEqual({
    status: "in_transit",
    raw_code: "by_hand",
    description: "the seller wrote that it has left",
  });
  expect(await one(client, "select status from bookpost.notifications")).toEqual({
    status: "in_transit",
  });
});

test("marked delivered, it has a time of delivery and goes on living for its week", async () => {
  const { client, id } = await bookOf("other");
  await client.query(MARK, [id, "delivered", "it lies on my table"]);
  expect(
    await one(
      client,
      "select status, delivered_at is not null as has_time, closed_at from bookpost.parcels",
    ),
  ).toEqual({ status: "delivered", has_time: true, closed_at: null });
});

test("marked cancelled, it is closed", async () => {
  const { client, id } = await bookOf("other");
  await client.query(MARK, [id, "cancelled", "the sale was called off"]);
  expect(await one(client, "select closed_reason from bookpost.parcels")).toEqual({
    closed_reason: "cancelled",
  });
  expect(await tryOut(client, MARK, [id, "delivered", "after all"])).toMatchObject({
    code: "BP400",
  });
});

test.each([
  ["pending", "because", "BP400"],
  ["nonsense", "because", "BP400"],
  [null, "because", "BP400"],
  ["delivered", " ", "BP400"],
  ["delivered", null, "BP400"],
])("cannot be marked %s because of %j", async (status, reason, code) => {
  const { client, id } = await bookOf("other");
  expect(await tryOut(client, MARK, [id, status, reason])).toMatchObject({ code });
  expect(await one(client, "select status from bookpost.parcels")).toEqual({ status: "pending" });
});

test("a book that is not there cannot be marked", async () => {
  const { client } = await bookOf("other");
  expect(
    await tryOut(client, MARK, ["00000000-0000-4000-8000-000000000000", "delivered", "because"]),
  ).toMatchObject({ code: "BP404" });
});
