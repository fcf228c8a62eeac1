import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { makeApi } from "../../helpers/makeApi.ts";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { trackBook } from "../../helpers/trackBook.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (args: string[], environment = {}) =>
  bookpost(args, { DATABASE_URL: db.url, ...environment });

const opens = async (token: string) =>
  (await db.pool.query("select from bookpost.shared_parcel($1)", [token])).rowCount === 1;

test("share tells a link that works for so many days, and unshare ends it", async () => {
  const api = await makeApi(db.pool);
  const { bookId, number } = await trackBook(db.pool, api.code, { title: "Ulysses" });
  const environment = { PUBLIC_URL: "https://post.example" };
  const { code, stdout } = await run(["share", number, "--days", "3", "--json"], environment);
  const shared = JSON.parse(stdout);
  expect([code, shared]).toEqual([
    0,
    {
      book: { id: bookId, title: "Ulysses" },
      linkId: expect.any(String),
      token: expect.stringMatching(/^[\w-]{43}$/),
      url: `https://post.example/t/${shared.token}`,
      days: 3,
    },
  ]);
  expect(
    await one(
      db.pool,
      "select (expires_at - created_at)::text as lives from bookpost.tracking_links where id = $1",
      [shared.linkId],
    ),
  ).toEqual({ lives: "3 days" });
  expect(await opens(shared.token)).toBe(true);
  const ended = await run(["unshare", shared.linkId]);
  expect([ended.code, ended.stdout]).toEqual([0, "The link works no longer.\n"]);
  expect(await opens(shared.token)).toBe(false);
  expect((await run(["unshare", shared.linkId])).code).toBe(0);
});

test("share says in words what the link is, and how it is ended", async () => {
  const api = await makeApi(db.pool);
  const { bookId } = await trackBook(db.pool, api.code, { title: "Emma" });
  const { stdout } = await run(["share", bookId]);
  expect(stdout).toMatch(
    /^The API's address and \/t\/[\w-]{43}\nshows where "Emma" is, for 30 days, .* npx bookpost unshare [0-9a-f-]{36} ends it\.\n$/,
  );
});

testRefusals(db, "share and unshare refuse what makes no sense, and change nothing", [
  ["a book that is not there", ["share", "ffffffff"], 'There is no book "ffffffff"'],
  ["days that are no number", ["share", "ffffffff", "--days", "a week"], "--days must be"],
  ["a link that is not there", ["unshare", randomUUID()], "There is no tracking link"],
  ["the beginning of a link's id", ["unshare", "ab12"], "A link is named by its whole id"],
]);
