import { expect, test } from "vitest";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(["sql", ...args], { DATABASE_URL: db.url });
const userCount = () =>
  one<{ count: number }>(db.pool, "select count(*)::integer as count from bookpost.users");

test("sql prints one table per statement", async () => {
  const { code, stdout } = await run("select 1 as number, 'a' as word; select null as nothing");
  expect(code).toBe(0);
  expect(stdout).toBe("number  word\n     1  a\n1 row\n\nnothing\n\n1 row\n");
});

test("sql --json keeps numbers, booleans, JSON, nulls, and money to the last digit", async () => {
  const { stdout } = await run(
    `select 7::bigint as n, 9007199254740993::bigint as big, 1.50 as money, true as yes,
      null as nothing, '{"a":[1]}'::jsonb as j, timestamptz '2025-08-26 15:44:34Z' as at`,
    "--json",
  );
  expect(JSON.parse(stdout)).toEqual([
    {
      n: 7,
      big: "9007199254740993",
      money: "1.50",
      yes: true,
      nothing: null,
      j: { a: [1] },
      at: "2025-08-26 15:44:34+00",
    },
  ]);
});

test("sql --json gives several statements as several lists", async () => {
  const { stdout } = await run("select 1 as a; select 2 as b", "--json");
  expect(JSON.parse(stdout)).toEqual([[{ a: 1 }], [{ b: 2 }]]);
});

testRefusals(db, "without --write sql changes nothing", [
  ["insert", ["sql", "insert into bookpost.users (name) values ('x')"], "add --write"],
  ["after a commit", ["sql", "commit; delete from bookpost.parcel_statuses"], "add --write"],
  ["function", ["sql", "select bookpost.track_book('t', 'dhl', '12345678')"], "add --write"],
  ["table", ["sql", "create table public.mine ()"], "add --write"],
]);

testRefusals(db, "sql that Postgres does not understand is refused with its place", [
  ["word", ["sql", "select 1;\n  selct 2"], '"selct" (line 2, column 3)'],
  ["table", ["sql", "select from nope"], '"nope" does not exist'],
  ["nothing", ["sql", "  "], "There is no query"],
]);

test("sql --write changes, and says how many rows", async () => {
  const before = await userCount();
  const { code, stdout } = await run("insert into bookpost.users (name) values ('x')", "--write");
  expect(code).toBe(0);
  expect(stdout).toBe("INSERT, 1 row.\n");
  expect((await userCount()).count).toBe(before.count + 1);
});

test("of several statements with --write none happens when one fails", async () => {
  const before = await userCount();
  const { code, stderr } = await run(
    "insert into bookpost.users (name) values ('x'); select 1/0",
    "--write",
  );
  expect(stderr).toContain("division by zero");
  expect(code).toBe(1);
  expect(await userCount()).toEqual(before);
});
