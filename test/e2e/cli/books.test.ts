import { expect, test } from "vitest";
import { lookUp } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { one } from "../../helpers/one.ts";
import { found, scan } from "../../helpers/reports.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../../helpers/trackBook.ts";
import { bookpost, bookpostEach } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(args, { DATABASE_URL: db.url });

test("show tells the carrier's own times: an offset stays, a date stays a date, a wall clock says so", async () => {
  const api = await makeApi(db.pool);
  const { bookId, parcelId, number } = await trackBook(db.pool, api.code, {
    title: "Times",
    sentOn: "2025-08-24",
  });
  await lookUp(db.pool, parcelId, (id) =>
    found(id, {
      estimated_from: "2025-08-27 14:00:00",
      estimated_until: "2025-08-27 18:00:00",
      estimated_time_zone: "-07:00",
      events: [
        scan("2025-08-24T00:00:00Z", "pre_transit", {
          occurred_at: null,
          local_time: "2025-08-24 00:00:00",
          time_zone: null,
          is_date_only: true,
          location: "Boston",
        }),
        scan("2025-08-25T09:15:00Z", null, {
          occurred_at: null,
          local_time: "2025-08-25 09:15:00",
          time_zone: null,
          description: "Sorted",
        }),
        scan("2025-08-26T15:44:34Z", "in_transit", {
          local_time: "2025-08-26 08:44:34",
          time_zone: "-07:00",
        }),
      ],
    }),
  );
  const { code, stdout } = await run("show", bookId);
  expect(code).toBe(0);
  const lines = stdout.split("\n").map((line) => line.trim().replaceAll(/ {2,}/g, " | "));
  expect(lines).toContain("2025-08-24 | pre transit | pre_transit | Boston");
  expect(lines).toContain("2025-08-25 09:15:00 local time | XX | Sorted");
  expect(lines).toContain("2025-08-26 08:44:34 -07:00 | in transit | in_transit");
  expect(lines).toContain("expected | 2025-08-27 14:00:00 to 18:00:00 -07:00");
  expect(lines).toContain("status | in transit: On its way.");
  expect(lines.some((line) => line.startsWith("looked | ") && line.endsWith("updated"))).toBe(true);

  const { parcels } = JSON.parse((await run("show", number, "--json")).stdout);
  expect(parcels).toHaveLength(1);
  expect(parcels[0].events.map((e: { localTime: string }) => e.localTime)).toEqual([
    "2025-08-24",
    "2025-08-25T09:15:00",
    "2025-08-26T08:44:34",
  ]);
  expect(parcels[0].events[2].occurredAt).toBe("2025-08-26T15:44:34.000Z");
  expect(parcels[0]).toMatchObject({ status: "in_transit", why: { reason: "scheduled" } });
});

test("show says which scans do not count, and what to say if they should", async () => {
  const api = await makeApi(db.pool);
  const { bookId, parcelId, number } = await trackBook(db.pool, api.code);
  const events = [scan("2025-08-26T15:44:34Z", "delivered")];
  await lookUp(db.pool, parcelId, (id) => found(id, { events }));
  const { stdout } = await run("show", bookId);
  expect(stdout).toContain("1 of the scans below: taken for an earlier parcel's with this number");
  const track = ["track", api.code, number, "--title", "A book", "--force"];
  expect(stdout).toContain(`${track.slice(0, 3).join(" ")} --title … --sent-on <date>`);
  expect((await run(...track, "--sent-on", "2025-08-24")).code).toBe(0);
  expect((await run("show", bookId)).stdout).toMatch(/status +delivered/);
});

test("show tells when it was delivered by the carrier's clock, and why nobody looks any more", async () => {
  const api = await makeApi(db.pool);
  const { bookId, parcelId } = await trackBook(db.pool, api.code, {
    title: "There",
    sentOn: "2025-08-24",
  });
  await lookUp(db.pool, parcelId, (id) =>
    found(id, {
      signed_by: "E. Musterfrau",
      events: [
        scan("2025-08-26T15:44:34Z", "delivered", {
          local_time: "2025-08-26 08:44:34",
          time_zone: "-07:00",
        }),
      ],
    }),
  );
  const { stdout } = await run("show", bookId);
  const lines = stdout.split("\n").map((line) => line.trim().replaceAll(/ {2,}/g, " | "));
  expect(lines).toContain("status | delivered");
  expect(lines).toContain("delivered | 2025-08-26 08:44:34 -07:00");
  expect(lines).toContain("signed by | E. Musterfrau");
  expect(stdout).toContain("no longer looked up: delivered");
  // A delivery of long ago is closed at once, so nothing is left to explain.
  expect((await run("why", bookId)).stdout).toContain("no longer looked up (delivered)");
});

test("a book is found by its id, the beginning of its id and its number, however they are written", async () => {
  const { bookId, number } = await trackBook(db.pool, "dhl", { title: "Found" });
  const ways = [
    bookId,
    bookId.toUpperCase(),
    bookId.slice(0, 8),
    bookId.slice(0, 14),
    number,
    ` ${number.slice(0, 5).toLowerCase()}-${number.slice(5)}`,
  ];
  const found = await bookpostEach(
    ways.map((way) => ["show", way, "--json"]),
    { DATABASE_URL: db.url },
  );
  expect(found.map(({ stdout }) => JSON.parse(stdout).book.id)).toEqual(ways.map(() => bookId));
});

test("a number that means two books is refused with both named", async () => {
  const number = newNumber();
  const first = await trackBook(db.pool, "dhl", { number, title: "One" });
  const second = await trackBook(db.pool, "dhl", { number, title: "Two" });
  const { code, stderr } = await run("refresh", number);
  expect(code).toBe(2);
  expect(stderr).toContain(first.bookId);
  expect(stderr).toContain(second.bookId);
});

test("a number used again means the book in the live parcel", async () => {
  const number = newNumber();
  const old = await trackBook(db.pool, "dhl", { number, title: "Old" });
  await db.pool.query("select bookpost.stop_tracking($1)", [old.bookId]);
  const fresh = await trackBook(db.pool, "dhl", { number, title: "New" });
  expect(fresh.parcelId).not.toBe(old.parcelId);
  const { stdout } = await run("show", number, "--json");
  expect(JSON.parse(stdout).book.id).toBe(fresh.bookId);
});

testRefusals(
  db,
  "a book that cannot be meant is refused, and so is a limit or status that is none",
  [
    ["number nobody tracks", ["show", "NOBODY123"], 'There is no book "NOBODY123"'],
    ["id nobody has", ["refresh", "00000000-0000-0000-0000-000000000000"], "There is no book"],
    ["short beginning", ["why", "abc"], 'There is no book "abc"'],
    ["neither", ["show", "what?"], 'There is no book "what?"'],
    ["no book", ["show"], "'book'"],
    ["limit 0", ["list", "--limit", "0"], '"0"'],
    ["limit -1", ["list", "--limit", "-1"], '"-1"'],
    ["limit 10001", ["list", "--limit", "10001"], '"10001"'],
    ["limit in words", ["why", "--limit", "many"], '"many"'],
    ["limit 1.5", ["list", "--limit", "1.5"], '"1.5"'],
    ["status", ["list", "--status", "lost"], '"lost"'],
    ["too much", ["list", "all"], "Too many arguments"],
  ],
);

test("refresh makes the parcel due, and tells when it will be looked up", async () => {
  const api = await makeApi(db.pool, { min_check_interval: "1 minute" });
  const { bookId, parcelId } = await trackBook(db.pool, api.code);
  await lookUp(db.pool, parcelId, (id) =>
    found(id, { events: [scan(new Date().toISOString(), "in_transit")] }),
  );
  const { code, stdout } = await run("refresh", bookId.slice(0, 8));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Asked for a look at "A book".*in \d+ seconds/);
  const { soon } = await one<{ soon: boolean }>(
    db.pool,
    "select next_check_at < now() + interval '1 minute' as soon from bookpost_private.checks where parcel_id = $1",
    [parcelId],
  );
  expect(soon).toBe(true);
});

test("refresh is refused where nobody can be asked", async () => {
  const { bookId } = await trackBook(db.pool, "parcelforce");
  const { code, stderr } = await run("refresh", bookId);
  expect(code).toBe(2);
  expect(stderr).toContain("Nobody can be asked");
});

test("list shows the newest first, says when there are more, and picks by status", async () => {
  const api = await makeApi(db.pool);
  const there = await trackBook(db.pool, api.code, { title: "Out there" });
  await lookUp(db.pool, there.parcelId, (id) =>
    found(id, { events: [scan(new Date().toISOString(), "out_for_delivery")] }),
  );
  const newest = await trackBook(db.pool, "dhl", { title: "Newest" });

  const short = await run("list", "--limit", "1");
  expect(short.stdout).toContain(newest.bookId.slice(0, 8));
  expect(short.stdout.trimEnd().split("\n")).toHaveLength(2);
  expect(short.stderr).toContain("There are more");

  const picked = JSON.parse(
    (await run("list", "--status", "out-for-delivery", "--json")).stdout,
  ) as { id: string }[];
  expect(picked.map(({ id }) => id)).toEqual([there.bookId]);
});

test("why explains each live parcel, and one book's alone", async () => {
  const api = await makeApi(db.pool, {}, { isConfigured: false });
  const { bookId, number } = await trackBook(db.pool, api.code, { title: "Waiting" });
  const all = JSON.parse((await run("why", "--json")).stdout) as { trackingNumber: string }[];
  expect(all.filter((row) => row.trackingNumber === number)).toHaveLength(1);
  const own = JSON.parse((await run("why", bookId, "--json")).stdout);
  expect(own).toHaveLength(1);
  expect(own[0]).toMatchObject({ trackingNumber: number, reason: "not_configured", until: null });
});
