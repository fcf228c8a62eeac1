import { describe, expect, it, test } from "vitest";
import { optionName } from "../../src/cli/optionNames.ts";
import { InputError } from "../../src/errors.ts";
import { readContact } from "../../src/input/contact.ts";
import { readBook } from "../../src/input/newBook.ts";
import { readPreferences } from "../../src/input/preferences.ts";
import { brokenRule } from "../../src/input/refusals.ts";
import { acceptNumber } from "../../src/input/trackingNumber.ts";
import { makeUser } from "../helpers/makeUser.ts";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

async function refusalOf(read: () => unknown): Promise<InputError> {
  try {
    await read();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("the command line and the API are told the same in their own words", () => {
  const dhl = { title: "x" };
  it.each([
    [() => readBook({}), "A book needs a title: add title", "A book needs a title: add --title"],
    [
      () => readBook({ ...dhl, declaredValue: "1" }),
      "declaredValue and declaredCurrency go together",
      "--value and --currency go together",
    ],
    [
      () => readBook({ ...dhl, sentOn: "today" }),
      "sentOn must be a day",
      "--sent-on must be a day",
    ],
    [() => readBook({ ...dhl, trackingUrl: "ftp://x" }), "trackingUrl must", "--url must"],
    [() => readBook({ ...dhl, owner: "me" }), "ownerId must be the id", "--owner must be the id"],
    [() => acceptNumber("ups", "1Z1", {}), "insist with insist.", "insist with --force."],
    [() => readContact({ email: "x" }), "email must be one", "--email must be one"],
    [
      () => readContact({ country: "GB" }),
      "country goes with phoneNumber",
      "--country goes with --phone",
    ],
    [() => readPreferences({ timeZone: "x" }), "timeZone must", "--time-zone must"],
    [
      () => readPreferences({ quietHours: { from: "1", until: "" } }),
      "quietHours must",
      "--quiet must",
    ],
  ])("%s", async (read, inApi, onCommandLine) => {
    const error = await refusalOf(read);
    expect(error.message).toContain(inApi);
    expect(error.tell(optionName)).toContain(onCommandLine);
  });
});

describe("what the database refuses is told as we would have told it, without the value", () => {
  const user = (column: string) => `update bookpost.users set ${column} = $2 where id = $1`;
  const book = (column: string) =>
    `insert into bookpost.books (owner_id, title, ${column}) values ($1, 'x', $2)`;
  it.each([
    ["BAD_EMAIL", user("email"), "two@@example.org"],
    ["LONG_NAME", user("name"), "z".repeat(201)],
    ["BAD_PHONE", user("phone_number"), "0201234567"],
    ["BAD_LANGUAGE", user("language"), "English"],
    ["BAD_TIME_ZONE", user("time_zone"), "Mars/Phobos"],
    ["BAD_QUIET_HOURS", user("quiet_from"), "21:59"],
    ["NO_TITLE", "insert into bookpost.books (owner_id, title) values ($1, $2)", "\t"],
    ["LONG_AUTHOR", book("author"), "z".repeat(501)],
    ["VALUE_WITHOUT_CURRENCY", book("declared_value"), "17"],
    ["LONG_APP_BOOK_ID", book("app_book_id"), "z".repeat(201)],
  ])("%s", async (code, sql, value) => {
    const id = await makeUser(db.pool);
    const error = await db.pool.query(sql, [id, value]).catch((e: unknown) => e);
    const refused = brokenRule(error);
    expect(refused?.code, String(error)).toBe(code);
    expect(refused?.message).not.toContain(value);
  });

  it("and an error of another kind is not ours to tell", async () => {
    for (const error of [
      null,
      undefined,
      "text",
      new Error("x"),
      { code: "23505" },
      { code: "23514" },
    ])
      expect(brokenRule(error)).toBeNull();
  });
});

test("every constraint that a refusal names is there", async () => {
  const { readFile } = await import("node:fs/promises");
  const source = await readFile(new URL("../../src/input/refusals.ts", import.meta.url), "utf8");
  const named = [...source.matchAll(/constraint: "(\w+)"/g)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(10);
  const { rows } = await db.pool.query<{ name: string }>(
    "select conname as name from pg_constraint",
  );
  const there = new Set(rows.map(({ name }) => name));
  expect(named.filter((name) => !there.has(name ?? ""))).toEqual([]);
});
