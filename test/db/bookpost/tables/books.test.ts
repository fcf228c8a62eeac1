import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const INSERT = `insert into bookpost.books (owner_id, title, author, declared_value, declared_currency, app_book_id)
  values ($1, $2, $3, $4, $5, $6)`;

/** What a row has wrong, and the rule that says so. */
const WRONG: readonly [
  string,
  Partial<Record<"title" | "author" | "value" | "currency", string>>,
  string,
][] = [
  ["an empty title", { title: "" }, "books_title_is_not_blank"],
  ["a blank title", { title: " \t\n " }, "books_title_is_not_blank"],
  ["a title of 501 characters", { title: "x".repeat(501) }, "books_title_is_not_blank"],
  ["an author of 501 characters", { author: "x".repeat(501) }, "books_author_is_short"],
  ["a value without a currency", { value: "10" }, "books_declared_value_has_a_currency"],
  ["a currency without a value", { currency: "EUR" }, "books_declared_value_has_a_currency"],
  ["a negative value", { value: "-0.01", currency: "EUR" }, "books_declared_value_is_not_negative"],
  [
    "a currency in lower case",
    { value: "1", currency: "eur" },
    "books_declared_currency_is_iso_4217",
  ],
  [
    "a currency in full-width letters",
    { value: "1", currency: "ＥＵＲ" },
    "books_declared_currency_is_iso_4217",
  ],
  [
    "a currency with a trailing newline",
    { value: "1", currency: "EUR\n" },
    "books_declared_currency_is_iso_4217",
  ],
];

test.each(WRONG)("a book cannot have %s", async (_, book, constraint) => {
  const client = await rolledBack(db);
  const owner = await makeUser(client);
  const { title = "Emma", author = null, value = null, currency = null } = book;
  expect(await tryOut(client, INSERT, [owner, title, author, value, currency, null])).toMatchObject(
    { code: "23514", constraint },
  );
});

test.each([
  ["a title of 500 characters and nothing else", { title: "x".repeat(500) }],
  ["a value of nothing", { title: "Emma", value: "0", currency: "GBP" }],
  ["a value with cents", { title: "Emma", value: "9999999999.99", currency: "GBP" }],
])("a book may have %s", async (_, book) => {
  const client = await rolledBack(db);
  const owner = await makeUser(client);
  const { title, value = null, currency = null } = book as Record<string, string>;
  expect(await tryOut(client, INSERT, [owner, title, null, value, currency, null])).toBeNull();
});

test("a book cannot be without an owner", async () => {
  const client = await rolledBack(db);
  expect(await tryOut(client, INSERT, [null, "Emma", null, null, null, null])).toMatchObject({
    code: "23502",
  });
});

test("an app's book id is unique among one owner's books and free for another's", async () => {
  const client = await rolledBack(db);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  await client.query(INSERT, [ann, "Emma", null, null, null, "b1"]);
  expect(await tryOut(client, INSERT, [ann, "Emma", null, null, null, "b1"])).toMatchObject({
    constraint: "books_app_book_id_is_unique_per_owner",
  });
  expect(await tryOut(client, INSERT, [ben, "Emma", null, null, null, "b1"])).toBeNull();
});
