import { expect, test } from "vitest";
import { asMember } from "../../../helpers/asMember.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

// set_contact and set_notification_preferences: what a person sets of herself.

const db = testDatabase();

const CONTACT = "select bookpost.set_contact($1, $2)";
const PREFERENCES = "select bookpost.set_notification_preferences($1, $2)";

async function person() {
  const client = await rolledBack(db);
  const id = await makeUser(client);
  const row = () =>
    one<Record<string, unknown>>(client, "select * from bookpost.users where id = $1", [id]);
  return { client, id, row };
}

test("what is named is set, what is not stays, and null takes away", async () => {
  const { client, id, row } = await person();
  await client.query(CONTACT, [id, { name: "Ann", email: "ann@example.org" }]);
  await client.query(PREFERENCES, [
    id,
    { language: "de", quiet_from: "22:00", quiet_until: "7:00" },
  ]);
  const before = await row();
  await client.query(CONTACT, [id, { name: null }]);
  await client.query(PREFERENCES, [id, { time_zone: "Europe/Berlin" }]);
  expect(await row()).toEqual({ ...before, name: null, time_zone: "Europe/Berlin" });
});

test.each([
  ["set_contact", "app_user_id", CONTACT],
  ["set_contact", "phone_verified_at", CONTACT],
  ["set_contact", "id", CONTACT],
  ["set_contact", "is_sms_wanted", CONTACT],
  ["set_notification_preferences", "sms_opted_out_at", PREFERENCES],
  ["set_notification_preferences", "email_opted_out_at", PREFERENCES],
  ["set_notification_preferences", "email_refused_at", PREFERENCES],
  ["set_notification_preferences", "email", PREFERENCES],
])("%s cannot set %s", async (_, column, sql) => {
  const { client, id, row } = await person();
  const before = await row();
  expect(
    await asMember(client, id, () => tryOut(client, sql, [id, { [column]: null }])),
  ).toMatchObject({ code: "BP400", hint: expect.stringMatching(/^Known: /) });
  expect(await row()).toEqual(before);
});

test.each([["[]"], ["null"], ["3"], ['"name"'], [null]])(
  "cannot be given %s for changes",
  async (changes) => {
    const { client, id } = await person();
    for (const sql of [CONTACT, PREFERENCES])
      expect(await tryOut(client, sql, [id, changes])).toMatchObject({ code: "BP400" });
  },
);

test("a member cannot have wanted what she has opted out of, but by opting in", async () => {
  const { client, id, row } = await person();
  await asMember(client, id, async () => {
    await client.query("select bookpost.opt_out(null, 'email')");
    await client.query(PREFERENCES, [null, { is_email_wanted: true }]);
  });
  expect(await row()).toMatchObject({ email_opted_out_at: expect.any(Date) });
  expect(
    await one(
      client,
      "select bookpost_private.why_not_reached(u, 'email') is not null as is_left_alone from bookpost.users u where id = $1",
      [id],
    ),
  ).toEqual({ is_left_alone: true });
  await asMember(client, id, () => client.query("select bookpost.opt_in(null, 'email')"));
  expect(await row()).toMatchObject({ email_opted_out_at: null });
});

test.each([
  [CONTACT, { email: "somebody" }, "users_email_has_one_at"],
  [CONTACT, { name: "x".repeat(201) }, "users_name_is_short"],
  [CONTACT, { phone_number: "0123" }, "users_phone_number_is_e164"],
  [PREFERENCES, { language: "English" }, "users_language_is_a_tag"],
  [PREFERENCES, { quiet_from: "22:00" }, "users_quiet_hours_have_both_ends"],
])("a rule that is broken is told by its constraint: %s %j", async (sql, changes, constraint) => {
  const { client, id } = await person();
  expect(await tryOut(client, sql, [id, changes])).toMatchObject({ code: "23514", constraint });
});
