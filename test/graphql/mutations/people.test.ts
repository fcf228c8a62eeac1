import { beforeEach, describe, expect, it } from "vitest";
import { one } from "../../helpers/one.ts";
import { seedBook } from "../seedBooks.ts";
import { NOBODY, openWorld, type Who } from "./openWorld.ts";

const world = openWorld();

async function userRow(id: string) {
  return one<Record<string, unknown>>(world.db.pool, "select * from bookpost.users where id = $1", [
    id,
  ]);
}

/** Field of Mutation → the rest of its input, beside the person. */
const ON_A_PERSON: Readonly<Record<string, object>> = {
  markNotificationsRead: { upTo: "2999-01-01T00:00:00Z" },
  setContact: { name: "Mallory", email: "mallory@example.org" },
  setNotificationPreferences: { isEmailWanted: false },
  requestPhoneVerification: {},
  verifyPhone: { code: "123456" },
  optIn: { channel: "EMAIL" },
  optOut: { channel: "EMAIL" },
};

describe.each(Object.entries(ON_A_PERSON))("%s", (field, rest) => {
  it("to all others another person is as one whom nobody knows, and is not changed", async () => {
    const before = await userRow(world.ids.ann);
    for (const [who, userId, told] of [
      ["ben", world.ids.ann, world.ids.ann],
      ["ben", NOBODY, NOBODY],
      ["stranger", world.ids.ann, world.ids.ann],
      ["stranger", undefined, NOBODY],
      ["operator", undefined, NOBODY],
      ["operator", NOBODY, NOBODY],
    ] as const)
      expect(await world.refusal(who, field, { userId, ...rest }), who).toMatchObject({
        message: `There is no user ${told}.`,
        extensions: { code: "NOT_FOUND" },
      });
    expect(await world.refusal("visitor", field, { userId: world.ids.ann, ...rest })).toMatchObject(
      { extensions: { code: "FORBIDDEN" } },
    );
    expect(await userRow(world.ids.ann)).toEqual(before);
  });

  it("cannot be asked of what is no id", async () => {
    expect(await world.refusal("ann", field, { userId: "me", ...rest })).toMatchObject({
      extensions: { code: "BAD_INPUT" },
    });
  });
});

describe("currentUser", () => {
  const SETTINGS = "{ currentUser { id email language unreadNotificationCount } }";

  it.each(["ann", "ben"] as const)("is %s for her own token, with her settings", async (who) => {
    const { currentUser } = await world.ask(who, SETTINGS);
    expect(currentUser).toMatchObject({ id: world.ids[who], language: "en" });
  });

  it.each(["visitor", "stranger", "operator"] as Who[])("is nobody for %s", async (who) => {
    expect(await world.ask(who, SETTINGS)).toEqual({ currentUser: null });
  });

  it("is nobody for a visitor's token that names a user", async () => {
    const { signToken } = await import("../startTestApi.ts");
    const token = await signToken("bookpost_visitor", world.ids.ann);
    const { body } = await world.api.query(SETTINGS, { token });
    expect(body).toEqual({ data: { currentUser: null } });
  });
});

describe("markNotificationsRead", () => {
  /** Three books of hers with an unread notification each, oldest first. */
  async function threeUnread(owner: string) {
    await world.db.pool.query("delete from bookpost.notifications where user_id = $1", [owner]);
    for (const n of [1, 2, 3])
      await seedBook(world.db.pool, {
        owner,
        title: `Volume ${n}`,
        number: `READ${n}${owner.slice(0, 8)}`.toUpperCase(),
        carrier: "dhl",
      });
    const { rows } = await world.db.pool.query<{ id: string; created: string }>(
      `update bookpost.notifications n set created_at = '2025-08-01 00:00Z'::timestamptz + o.place * interval '1 hour'
       from (select id, row_number() over (order by created_at, id) as place from bookpost.notifications where user_id = $1) o
       where o.id = n.id returning n.id, to_json(n.created_at)#>>'{}' as created`,
      [owner],
    );
    return rows.toSorted((a, b) => a.created.localeCompare(b.created));
  }

  const COUNTS = "readCount unreadCount user { id unreadNotificationCount }";

  it("marks those that are named, hers alone, and says how many are left", async () => {
    const [first] = await threeUnread(world.ids.ann);
    const [his] = await threeUnread(world.ids.ben);
    const ids = [first?.id, his?.id, NOBODY];
    expect(await world.mutate("ann", "markNotificationsRead", { ids }, COUNTS)).toEqual({
      readCount: 1,
      unreadCount: 2,
      user: { id: world.ids.ann, unreadNotificationCount: 2 },
    });
    expect(
      await one(
        world.db.pool,
        "select count(*)::int from bookpost.notifications where user_id = $1 and read_at is null",
        [world.ids.ben],
      ),
    ).toEqual({ count: 3 });
  });

  it("marks all up to a moment, that one included, and the same again counts for nothing", async () => {
    const [, second] = await threeUnread(world.ids.ann);
    const upTo = second?.created;
    expect(await world.mutate("ann", "markNotificationsRead", { upTo }, COUNTS)).toMatchObject({
      readCount: 2,
      unreadCount: 1,
    });
    expect(await world.mutate("ann", "markNotificationsRead", { upTo }, COUNTS)).toMatchObject({
      readCount: 0,
      unreadCount: 1,
    });
  });

  it("of several at once each counts what it has marked itself", async () => {
    const ids = (await threeUnread(world.ids.ann)).map(({ id }) => id);
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        world.mutate(
          "ann",
          "markNotificationsRead",
          { ids: i % 2 ? ids : ids.toReversed() },
          "readCount unreadCount",
        ),
      ),
    );
    expect(answers.reduce((sum, { readCount }) => sum + readCount, 0)).toBe(3);
    for (const { unreadCount } of answers) expect(unreadCount).toBe(0);
  });

  it("an operator marks those of whom she names", async () => {
    await threeUnread(world.ids.ben);
    const input = { upTo: "2999-01-01T00:00:00Z", userId: world.ids.ben };
    expect(await world.mutate("operator", "markNotificationsRead", input, COUNTS)).toMatchObject({
      readCount: 3,
      user: { id: world.ids.ben },
    });
  });

  it.each([
    [{}, "ids", "IDS_OR_UP_TO"],
    [{ ids: [], upTo: "2025-08-26T00:00:00Z" }, "ids", "IDS_OR_UP_TO"],
    [{ ids: Array(101).fill(NOBODY) }, "ids", "TOO_MANY_IDS"],
    [{ upTo: "2025-08-26" }, "upTo", "BAD_MOMENT"],
    [{ upTo: "2025-08-26T10:00:00" }, "upTo", "BAD_MOMENT"],
    [{ upTo: "yesterday" }, "upTo", "BAD_MOMENT"],
  ])("cannot be asked %#", async (input, field, reason) => {
    expect(await world.refusal("ann", "markNotificationsRead", input)).toMatchObject({
      extensions: { code: "BAD_INPUT", field, reason },
    });
  });
});

describe("setContact", () => {
  const CONTACT = "user { name email phoneNumber phoneVerifiedAt }";

  it("keeps a number in international form, and what is left out as it was; null takes away", async () => {
    const first = { name: "Ann", phoneNumber: "020 7946 0123", country: "gb" };
    expect(await world.mutate("ann", "setContact", first, CONTACT)).toEqual({
      user: { name: "Ann", email: null, phoneNumber: "+442079460123", phoneVerifiedAt: null },
    });
    expect(
      await world.mutate("ann", "setContact", { email: " ann@example.org ", name: null }, CONTACT),
    ).toEqual({
      user: {
        name: null,
        email: "ann@example.org",
        phoneNumber: "+442079460123",
        phoneVerifiedAt: null,
      },
    });
    expect(await userRow(world.ids.ann)).toMatchObject({ email: "ann@example.org", name: null });
  });

  it("a new number is not verified", async () => {
    await world.mutate("ann", "setContact", { phoneNumber: "+442079460123" }, "user { id }");
    await world.db.pool.query(
      "update bookpost.users set phone_verified_at = now(), is_sms_wanted = true where id = $1",
      [world.ids.ann],
    );
    const same = { phoneNumber: "+44 20 7946 0123" };
    const { user } = await world.mutate("ann", "setContact", same, CONTACT);
    expect(user.phoneVerifiedAt).not.toBeNull();
    await world.mutate("ann", "setContact", { phoneNumber: "+442079460124" }, "user { id }");
    expect(await userRow(world.ids.ann)).toMatchObject({
      phone_verified_at: null,
      is_sms_wanted: false,
    });
  });

  it("an operator sets that of whom she names", async () => {
    const input = { name: "Ben", userId: world.ids.ben };
    expect(await world.mutate("operator", "setContact", input, "user { id name }")).toEqual({
      user: { id: world.ids.ben, name: "Ben" },
    });
  });

  it.each([
    [{}, "input", "NO_CHANGE"],
    [{ name: " " }, "name", "EMPTY_VALUE"],
    [{ name: "x".repeat(201) }, "name", "LONG_NAME"],
    [{ email: "somebody" }, "email", "BAD_EMAIL"],
    [{ email: "a@example.org,b@example.org" }, "email", "BAD_EMAIL"],
    [{ email: `${"x".repeat(250)}@example.org` }, "email", "BAD_EMAIL"],
    // White space to Postgres and not to Node: refused by the constraint, and told as the same.
    [{ email: "some\u0085body@example.org" }, "email", "BAD_EMAIL"],
    [{ phoneNumber: "call me", country: "GB" }, "phoneNumber", "PHONE_NOT_A_NUMBER"],
    [{ phoneNumber: "020 7946 0123" }, "phoneNumber", "PHONE_NO_COUNTRY"],
    [{ phoneNumber: "020 7946 0123", country: "XX" }, "country", "UNKNOWN_COUNTRY"],
    [{ country: "GB" }, "country", "COUNTRY_WITHOUT_PHONE"],
  ])("cannot be %j", async (input, field, reason) => {
    const before = await userRow(world.ids.ann);
    const { message, extensions } = await world.refusal("ann", "setContact", input);
    expect(extensions).toEqual({ code: "BAD_INPUT", field, reason });
    expect(message).not.toMatch(/body@|bookpost|users_|\+44/);
    expect(await userRow(world.ids.ann)).toEqual(before);
  });
});

describe("setNotificationPreferences", () => {
  it("sets what is named and leaves the rest", async () => {
    const input = {
      isEmailWanted: false,
      language: "pt-BR",
      timeZone: "Europe/Lisbon",
      quietHours: { from: "22:00", until: "7:00" },
    };
    const SETTINGS = "user { isEmailWanted isSmsWanted language timeZone quietFrom quietUntil }";
    expect(await world.mutate("ann", "setNotificationPreferences", input, SETTINGS)).toEqual({
      user: {
        isEmailWanted: false,
        isSmsWanted: false,
        language: "pt-BR",
        timeZone: "Europe/Lisbon",
        quietFrom: "22:00",
        quietUntil: "07:00",
      },
    });
    const { user } = await world.mutate(
      "ann",
      "setNotificationPreferences",
      { quietHours: null },
      SETTINGS,
    );
    expect(user).toMatchObject({ quietFrom: null, quietUntil: null, language: "pt-BR" });
  });

  it("takes quiet hours as they are read, with seconds only where somebody wrote them", async () => {
    await world.db.pool.query(
      "update bookpost.users set quiet_from = '21:30', quiet_until = '06:15:20' where id = $1",
      [world.ids.ben],
    );
    const HOURS = "{ currentUser { quietFrom quietUntil } }";
    const { currentUser } = await world.ask("ben", HOURS);
    expect(currentUser).toEqual({ quietFrom: "21:30", quietUntil: "06:15:20" });
    const quietHours = { from: currentUser.quietFrom, until: "06:15" };
    await world.mutate("ben", "setNotificationPreferences", { quietHours }, "user { id }");
    expect((await world.ask("ben", HOURS)).currentUser).toEqual({
      quietFrom: "21:30",
      quietUntil: "06:15",
    });
  });

  it("does not end what she has opted out of; optIn does", async () => {
    await world.mutate("ann", "optOut", { channel: "EMAIL" }, "user { id }");
    const { user } = await world.mutate(
      "ann",
      "setNotificationPreferences",
      { isEmailWanted: true },
      "user { isEmailWanted emailOptedOutAt }",
    );
    expect(user).toEqual({ isEmailWanted: true, emailOptedOutAt: expect.any(String) });
    expect(
      await world.mutate("ann", "optIn", { channel: "EMAIL" }, "user { emailOptedOutAt }"),
    ).toEqual({ user: { emailOptedOutAt: null } });
  });

  it.each([
    [{}, "input", "NO_CHANGE"],
    [{ language: "English" }, "language", "BAD_LANGUAGE"],
    [{ timeZone: "Mars/Phobos" }, "timeZone", "BAD_TIME_ZONE"],
    [{ timeZone: "+02:00" }, "timeZone", "BAD_TIME_ZONE"],
    [{ quietHours: { from: "22:00", until: "25:00" } }, "quietHours", "BAD_QUIET_HOURS"],
    [{ quietHours: { from: "07:00", until: "7:00" } }, "quietHours", "BAD_QUIET_HOURS"],
  ])("cannot be %j", async (input, field, reason) => {
    expect(await world.refusal("ann", "setNotificationPreferences", input)).toMatchObject({
      extensions: { code: "BAD_INPUT", field, reason },
    });
  });
});

describe("a phone number", () => {
  beforeEach(async () => {
    await world.db.pool.query(
      "update bookpost_private.channels set is_configured = true where channel = 'sms'",
    );
    await world.db.pool.query("delete from bookpost_private.code_requests");
    await world.db.pool.query(
      "update bookpost.users set phone_number = null, sms_opted_out_at = null where id = $1",
      [world.ids.ann],
    );
    await world.db.pool.query(
      "update bookpost.users set phone_number = '+447400123456' where id = $1",
      [world.ids.ann],
    );
  });

  async function sendCode(): Promise<string> {
    await world.mutate("ann", "requestPhoneVerification", {}, "user { id }");
    const { code } = await one<{ code: string }>(
      world.db.pool,
      "select bookpost_private.make_code($1) as code",
      [world.ids.ann],
    );
    return code;
  }

  it("is verified by the code that was sent, and then text messages are on", async () => {
    const code = await sendCode();
    expect(
      await world.mutate(
        "ann",
        "verifyPhone",
        { code: ` ${code.slice(0, 3)} ${code.slice(3)}` },
        "isVerified user { phoneVerifiedAt isSmsWanted }",
      ),
    ).toEqual({
      isVerified: true,
      user: { phoneVerifiedAt: expect.any(String), isSmsWanted: true },
    });
    expect(await world.refusal("ann", "requestPhoneVerification", {})).toMatchObject({
      message: expect.stringContaining("verified already"),
      extensions: { code: "CONFLICT" },
    });
  });

  it("a wrong guess counts, also of five at once: the sixth is not looked at", async () => {
    const code = await sendCode();
    const wrong = code === "000000" ? "000001" : "000000";
    const guesses = await Promise.all(
      Array.from({ length: 5 }, () =>
        world.mutate("ann", "verifyPhone", { code: wrong }, "isVerified"),
      ),
    );
    expect(guesses).toEqual(Array(5).fill({ isVerified: false }));
    expect(await world.mutate("ann", "verifyPhone", { code }, "isVerified")).toEqual({
      isVerified: false,
    });
  });

  it.each(["", "(input: null)", "(input: {})", "(input: { userId: null })"])(
    "is that of who is signed in where the request is %j",
    async (input) => {
      expect(
        await world.ask("ann", `mutation { requestPhoneVerification${input} { user { id } } }`),
      ).toEqual({ requestPhoneVerification: { user: { id: world.ids.ann } } });
    },
  );

  it("gets three codes an hour and no more", async () => {
    for (let i = 0; i < 3; i++)
      await world.mutate("ann", "requestPhoneVerification", {}, "user { id }");
    expect(await world.refusal("ann", "requestPhoneVerification", {})).toMatchObject({
      message: expect.stringContaining("Too many codes"),
      extensions: { code: "CONFLICT" },
    });
  });

  it("that she has opted out of gets no code until she opts in", async () => {
    await world.mutate("ann", "optOut", { channel: "SMS" }, "user { id }");
    expect(await world.refusal("ann", "requestPhoneVerification", {})).toMatchObject({
      extensions: { code: "CONFLICT" },
    });
    await world.mutate("ann", "optIn", { channel: "SMS" }, "user { id }");
    await world.mutate("ann", "requestPhoneVerification", {}, "user { id }");
  });

  it("that is not there cannot be verified", async () => {
    expect(
      await world.refusal("operator", "requestPhoneVerification", { userId: world.ids.ben }),
    ).toMatchObject({ extensions: { code: "BAD_INPUT" } });
  });
});
