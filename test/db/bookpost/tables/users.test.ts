import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const INSERT_PHONE = "insert into bookpost.users (phone_number) values ($1)";

test.each([
  ["a British one", "+442079460123"],
  ["an American one", "+12125550123"],
  ["the longest: 15 digits", "+123456789012345"],
  ["the shortest: 2 digits", "+12"],
  ["none at all", null],
])("a phone number may be %s", async (_, phoneNumber) => {
  const client = await rolledBack(db);
  expect(await tryOut(client, INSERT_PHONE, [phoneNumber])).toBeNull();
});

test.each([
  ["empty", ""],
  ["blank", " "],
  ["a plus sign alone", "+"],
  ["one digit", "+1"],
  ["without a plus sign", "442079460123"],
  ["in national form", "020 7946 0123"],
  ["with an international prefix", "00442079460123"],
  ["with a leading zero", "+0442079460123"],
  ["of 16 digits", "+1234567890123456"],
  ["with spaces", "+44 20 7946 0123"],
  ["with hyphens", "+44-20-7946-0123"],
  ["with parentheses", "+44(0)2079460123"],
  ["with a leading space", " +442079460123"],
  ["with a trailing space", "+442079460123 "],
  ["with a trailing newline", "+442079460123\n"],
  ["with a trailing carriage return", "+442079460123\r"],
  ["with a leading newline", "\n+442079460123"],
  ["two, one a line", "+442079460123\n+442079460124"],
  ["with an extension", "+442079460123x12"],
  ["with letters", "+44CALLBOOKS"],
  ["with two plus signs", "++442079460123"],
  ["with a full-width plus sign", "＋442079460123"],
  ["in full-width digits", "+４４２０７９４６０１２３"],
  ["in Arabic-Indic digits", "+٤٤٢٠٧٩٤٦٠١٢٣"],
  ["in Devanagari digits", "+४४२०७९४६०१२३"],
  ["with one full-width digit at the end", "+44207946012３"],
  ["with a superscript digit", "+44207946012³"],
  ["with a zero-width space", "+44\u200b2079460123"],
  ["with a right-to-left mark", "\u200f+442079460123"],
  ["as a tel: link", "tel:+442079460123"],
  ["with an SQL tail", "+442079460123'; --"],
])("a phone number cannot be %s", async (_, phoneNumber) => {
  const client = await rolledBack(db);
  expect(await tryOut(client, INSERT_PHONE, [phoneNumber])).toMatchObject({
    code: "23514",
    constraint: "users_phone_number_is_e164",
  });
});

test.each([
  ["plain", "reader@example.com"],
  ["tagged", "reader+books@example.com"],
  ["254 characters long", `${"a".repeat(242)}@example.com`],
])("an email address may be %s", async (_, email) => {
  const client = await rolledBack(db);
  expect(
    await tryOut(client, "insert into bookpost.users (email) values ($1)", [email]),
  ).toBeNull();
});

test.each([
  ["without an at sign", "reader.example.com"],
  ["with two at signs", "a@b@example.com"],
  ["without a host", "reader@"],
  ["with a newline, as if to add a header", "reader@example.com\nBcc: all@example.com"],
  ["with a space", "rea der@example.com"],
  ["255 characters long", `${"a".repeat(243)}@example.com`],
  ["empty", ""],
])("an email address cannot be %s", async (_, email) => {
  const client = await rolledBack(db);
  expect(
    await tryOut(client, "insert into bookpost.users (email) values ($1)", [email]),
  ).toMatchObject({ code: "23514", constraint: "users_email_has_one_at" });
});

test("a time zone that Postgres does not know is refused", async () => {
  const client = await rolledBack(db);
  const sql = "insert into bookpost.users (time_zone) values ($1)";
  expect(await tryOut(client, sql, ["Europe/London"])).toBeNull();
  expect(await tryOut(client, sql, ["Mars/Base"])).toMatchObject({ code: "22023" });
  expect(await tryOut(client, sql, [""])).toMatchObject({ code: "22023" });
});

test("two users cannot have one id of the app's", async () => {
  const client = await rolledBack(db);
  await client.query("insert into bookpost.users (app_user_id) values ('u1')");
  expect(
    await tryOut(client, "insert into bookpost.users (app_user_id) values ('u1')"),
  ).toMatchObject({ constraint: "users_app_user_id_is_unique" });
});
