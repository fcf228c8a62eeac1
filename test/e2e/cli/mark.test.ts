import { expect, test } from "vitest";
import { lookUp } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { one } from "../../helpers/one.ts";
import { found, scan } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../../helpers/trackBook.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(["mark", ...args], { DATABASE_URL: db.url });

test("a book is marked by its number, with the reason among its scans, and told what it is now", async () => {
  const { parcelId, number } = await trackBook(db.pool, "parcelforce", { title: "Emma" });
  const { code, stdout, stderr } = await run(
    ...[number.toLowerCase(), "Out for-Delivery", "--reason", "the van is in the street"],
  );
  expect(stderr).toBe("");
  expect(stdout).toBe(`Marked "Emma" (parcelforce ${number}) as out for delivery.\n`);
  expect(code).toBe(0);
  expect(
    await one(
      db.pool,
      `select p.status, e.description, e.raw_code
       from bookpost.parcels p join bookpost.tracking_events e on e.parcel_id = p.id where p.id = $1`,
      [parcelId],
    ),
  ).toEqual({
    status: "out_for_delivery",
    description: "the van is in the street",
    raw_code: "by_hand",
  });
});

test("a mark that ends the tracking says so, for programs too", async () => {
  const [first, second] = [await trackBook(db.pool, "other"), await trackBook(db.pool, "other")];
  const reason = ["cancelled", "--reason", "the sale was called off"];
  expect((await run(first.bookId, ...reason)).stdout).toContain("as cancelled; that ends its");
  const { stdout } = await run(second.bookId, ...reason, "--json");
  expect(JSON.parse(stdout)).toEqual({
    book: { id: second.bookId, title: "A book" },
    marked: "cancelled",
    parcel: {
      id: second.parcelId,
      carrierCode: "other",
      trackingNumber: second.number,
      status: "cancelled",
      closedReason: "cancelled",
    },
  });
});

test("where a newer scan of the carrier's goes before the mark, the status that stands is told", async () => {
  const api = await makeApi(db.pool);
  const { bookId, parcelId } = await trackBook(db.pool, api.code, { title: "Lalka" });
  await lookUp(db.pool, parcelId, (id) =>
    found(id, { events: [scan("2999-01-01T00:00:00Z", "exception")] }),
  );
  const { code, stdout } = await run(bookId, "in_transit", "--reason", "the seller says so");
  expect(stdout).toMatch(/as in transit; with all its scans its status is exception\.\n$/);
  expect(code).toBe(0);
});

const because = ["--reason", "because"];
testRefusals(db, "mark refuses what makes no sense, and changes nothing", [
  ["no reason", ["mark", "12345678", "delivered"], "add --reason 'it lies on my table'"],
  ["blank reason", ["mark", "12345678", "delivered", "--reason", " "], "Say how you know"],
  ["no status", ["mark", "12345678", ...because], "'status'"],
  ["unknown book", ["mark", newNumber(), "delivered", ...because], "There is no book"],
]);

test("a status that is none, or that only a carrier gives, is refused with those there are", async () => {
  const { bookId, parcelId } = await trackBook(db.pool, "other");
  for (const status of ["vanished", "pending"]) {
    const { code, stderr } = await run(bookId, status, ...because);
    expect(stderr).toMatch(RegExp(`"${status}".*in_transit.*delivered.*\n$`));
    expect(code).toBe(2);
  }
  expect(
    await one(db.pool, "select status from bookpost.parcels where id = $1", [parcelId]),
  ).toEqual({ status: "pending" });
});
