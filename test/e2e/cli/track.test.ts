import { expect, test } from "vitest";
import { normalizeTrackingNumber } from "../../../src/carriers/trackingNumber.ts";
import { beat } from "../../../src/sql/beat.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { newNumber } from "../../helpers/trackBook.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(args, { DATABASE_URL: db.url });

test("track keeps everything it was told, and says how to see it", async () => {
  const owner = await makeUser(db.pool);
  const { code, stdout, stderr } = await run(
    ...["track", "dhl", "00 3404-3429 2135", "--title", "Der Name der Rose", "--author", "Eco"],
    ...["--value", "99.90", "--currency", "eur", "--owner", owner, "--app-book-id", "app-7"],
    ...["--url", "https://example.com/parcel"],
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const book = await one<{ id: string }>(
    db.pool,
    "select * from bookpost.books where owner_id = $1",
    [owner],
  );
  expect(book).toMatchObject({
    title: "Der Name der Rose",
    author: "Eco",
    declared_value: "99.90",
    declared_currency: "EUR",
    app_book_id: "app-7",
  });
  expect(stdout).toContain('Tracking "Der Name der Rose".');
  expect(stdout).toContain(book.id);
  expect(stdout).toContain("dhl 00340434292135");
  expect(stdout).toContain("https://example.com/parcel");
  expect(stdout).toContain(`npx bookpost show ${book.id.slice(0, 8)}`);
  expect(stdout).toContain("no running worker has credentials for this carrier");
});

test("track asked twice gives the same book", async () => {
  const args = ["track", "dhl", newNumber(), "--title", "Twice", "--json"];
  const first = JSON.parse((await run(...args)).stdout);
  const second = JSON.parse((await run(...args)).stdout);
  expect(second.book).toEqual(first.book);
  expect(second.parcel.id).toBe(first.parcel.id);
});

test("track says when a worker takes it up", async () => {
  await beat(db.pool, {
    workerId: "w",
    hostName: "here",
    processId: 1,
    apiFingerprints: { ups: "x" },
  });
  const { stdout } = await run("track", "ups", newNumber(), "--title", "Soon", "--json");
  const { parcel, why } = JSON.parse(stdout);
  expect(why.reason).toBe("due");
  expect(new Date(parcel.nextLookAt).getTime()).toBeLessThanOrEqual(Date.now());
});

test("track refuses a number that cannot be the carrier's, and takes it with --force", async () => {
  const refused = await run("track", "ups", "1Z123", "--title", "Typo");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("18 letters and digits");
  const forced = await run("track", "ups", "1Z123", "--title", "Typo", "--force");
  expect(forced.code).toBe(0);
  expect(forced.stderr).toContain("18 letters and digits");
});

test("a number with a doubtful check digit is tracked, with a note", async () => {
  const { code, stdout } = await run(
    ...["track", "ups", "1Z12345E0205271688", "--title", "Doubt", "--json"],
  );
  expect(code).toBe(0);
  expect(JSON.parse(stdout).warning).toContain("typing error");
});

test("a scanned USPS label is tracked by its number, however it is typed", async () => {
  const { code, stdout, stderr } = await run(
    ...["track", "usps", "420 78745 9400-1112-0620-6406-2607-87", "--title", "Scanned", "--json"],
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const { book, parcel, warning } = JSON.parse(stdout);
  expect(warning).toBeNull();
  expect(parcel.trackingNumber).toBe("9400111206206406260787");
  const typed = await run(
    "track",
    "usps",
    "9400111206206406260787",
    "--title",
    "Scanned",
    "--json",
  );
  expect(JSON.parse(typed.stdout)).toMatchObject({ book: { id: book.id } });
});

test.each([" 1z\t999-aa1\r\n0123456784 ", "\u00a0jd 014\u2003-\u202f0000\v\f"])(
  "%j is read by the command line as by the database",
  async (text) => {
    const { stored } = await one<{ stored: string }>(
      db.pool,
      "select bookpost.normalize_tracking_number($1) as stored",
      [text],
    );
    expect(normalizeTrackingNumber(text)).toBe(stored);
  },
);

const nobody = "00000000-0000-0000-0000-000000000000";
const dhl = ["track", "dhl", "12345678"];
testRefusals(db, "track refuses what makes no sense, and changes nothing", [
  [
    "no carrier",
    ["track", "1z 999-AA1 0123456784", "--title", "x"],
    "track <carrier> 1Z999AA10123456784 --title '…'. By its form it could be ups, but",
  ],
  [
    "no carrier, of many",
    ["track", "041441760228964", "--title", "x"],
    "could be fedex or canada_post, but the carrier is always said, never guessed",
  ],
  ["no number", ["track", "ups", "--title", "x"], "Give the carrier and the number"],
  ["neither carrier nor number", ["track", "--title", "x"], "The carrier is always said"],
  ["unknown carrier", ["track", "nix", "12345678", "--title", "x"], 'no carrier "nix"'],
  ["no title", dhl, "A book needs a title"],
  ["blank title", [...dhl, "--title", "  "], "A book needs a title"],
  ["endless title", [...dhl, "--title", "x".repeat(501)], "at most 500"],
  [
    "endless author",
    [...dhl, "--title", "x", "--author", "x".repeat(501)],
    "at most 500 characters; this one has 501",
  ],
  ["short number", ["track", "dhl", "123", "--title", "x"], "4 to 40 letters and digits"],
  [
    "another carrier's number",
    ["track", "dhl", "1Z999AA10123456784", "--title", "x"],
    '"1Z999AA10123456784" is not accepted: this is a UPS number that starts with 1Z. Look at the carrier and the number again, or insist with --force.',
  ],
  [
    "wrong check digit",
    ["track", "usps", "9400111206206406260780", "--title", "x"],
    "the check digit of a USPS package code",
  ],
  ["slash", ["track", "dhl", "12/34", "--title", "x"], "4 to 40 letters and digits"],
  ["slash, forced", ["track", "dhl", "12/34", "--title", "x", "--force"], "4 to 40 letters"],
  ["value alone", [...dhl, "--title", "x", "--value", "1"], "--currency EUR"],
  ["currency alone", [...dhl, "--title", "x", "--currency", "EUR"], "--value 120"],
  ["comma", [...dhl, "--title", "x", "--value", "1,5", "--currency", "EUR"], '"1,5"'],
  ["currency", [...dhl, "--title", "x", "--value", "1", "--currency", "EURO"], '"EURO"'],
  ["owner that is no uuid", [...dhl, "--title", "x", "--owner", "me"], '"me"'],
  ["unknown owner", [...dhl, "--title", "x", "--owner", nobody], nobody],
  ["page without https", [...dhl, "--title", "x", "--url", "http://x.y"], "https"],
  ["unknown option", [...dhl, "--title", "x", "--colour"], "--colour"],
]);
