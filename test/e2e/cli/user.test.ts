import { expect, test } from "vitest";
import { makeUser } from "../../helpers/makeUser.ts";
import { makeWorker } from "../../helpers/makeWorker.ts";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { uniqueName } from "../../helpers/uniqueName.ts";
import { bookpost, bookpostEach } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(["user", ...args], { DATABASE_URL: db.url });

/** The row of the user whom the app calls this. */
async function userOf(appUserId: string) {
  return one<Record<string, unknown> & { id: string }>(
    db.pool,
    "select * from bookpost.users where app_user_id = $1",
    [appUserId],
  );
}

/** As after the code had come back. */
async function verify(userId: string): Promise<void> {
  await db.pool.query(
    "update bookpost.users set phone_verified_at = now(), is_sms_wanted = true where id = $1",
    [userId],
  );
}

test("a user is added as people write it, and the number is kept in international form, not verified", async () => {
  const appId = uniqueName("ada");
  const { code, stdout, stderr } = await run(
    ...["add", "--app-id", appId, "--name", "Ada Lovelace", "--email", "ada@example.org"],
    ...["--phone", "020 7946 0123", "--country", "gb", "--time-zone", "Europe/London"],
    ...["--language", "pt-BR", "--quiet", "22:00-7:00"],
  );
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^Added Ada Lovelace\.\n/);
  expect(stdout).toMatch(/phone +\+442079460123, not verified/);
  expect(stdout).toMatch(/quiet +22:00 to 07:00 \(/);
  expect(code).toBe(0);
  expect(await userOf(appId)).toMatchObject({
    name: "Ada Lovelace",
    email: "ada@example.org",
    phone_number: "+442079460123",
    phone_verified_at: null,
    time_zone: "Europe/London",
    language: "pt-BR",
    quiet_from: "22:00:00",
    quiet_until: "07:00:00",
    is_email_wanted: true,
    is_sms_wanted: false,
  });
});

test("what is not said of a new user is what the database has by default", async () => {
  const appId = uniqueName("user");
  expect((await run("add", "--app-id", appId)).code).toBe(0);
  const bare = await one(db.pool, "select * from bookpost.users where id = $1", [
    await makeUser(db.pool),
  ]);
  const { id, app_user_id, created_at, ...rest } = await userOf(appId);
  expect({ ...bare, ...rest }).toEqual(bare);
  expect(app_user_id).toBe(appId);
});

test("set changes what is named and leaves the rest, and --no- takes a value away", async () => {
  const appId = uniqueName("user");
  await run(
    "add",
    "--app-id",
    appId,
    "--email",
    "a@example.org",
    "--name",
    "A",
    "--quiet",
    "1:00-2:00",
  );
  const before = await userOf(appId);
  const { code, stdout } = await run(
    "set",
    appId,
    "--email",
    "b@example.org",
    "--no-quiet",
    "--json",
  );
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    user: { id: before.id, email: "b@example.org", name: "A", quietFrom: null, quietEndsAt: null },
  });
  expect(await userOf(appId)).toEqual({
    ...before,
    email: "b@example.org",
    quiet_from: null,
    quiet_until: null,
  });
});

test("a new number is not verified, and one that is set again as it was stays so", async () => {
  const appId = uniqueName("user");
  await run("add", "--app-id", appId, "--phone", "+442079460123");
  const { id } = await userOf(appId);
  await verify(id);
  await run("set", appId, "--phone", "020 7946 0123", "--country", "GB", "--name", "A");
  expect(await userOf(appId)).toMatchObject({ is_sms_wanted: true, name: "A" });
  await run("set", appId, "--phone", "+442079460124");
  expect(await userOf(appId)).toMatchObject({ is_sms_wanted: false, phone_verified_at: null });
  await run("set", appId, "--no-phone");
  expect(await userOf(appId)).toMatchObject({ phone_number: null });
});

test("opting out is the person's word, ends by it alone, and is told with the way out", async () => {
  const appId = uniqueName("user");
  await run("add", "--app-id", appId, "--email", "a@example.org");
  await run("set", appId, "--opt-out", "email", "--opt-out", "sms");
  const out = await userOf(appId);
  expect([out.email_opted_out_at, out.sms_opted_out_at]).not.toContain(null);
  const { stdout } = await run("set", appId, "--email-wanted", "yes");
  expect(stdout).toMatch(/by email +no: opted out; .*--opt-in email/);
  await run("set", appId, "--opt-in", "email");
  expect(await userOf(appId)).toMatchObject({ email_opted_out_at: null });
  expect((await userOf(appId)).sms_opted_out_at).not.toBeNull();
});

test("a change that is refused in part is refused as a whole", async () => {
  const appId = uniqueName("user");
  await run("add", "--app-id", appId, "--email", "a@example.org");
  const before = await userOf(appId);
  const { code } = await run("set", appId, "--name", "B", "--email", "b", "--opt-out", "sms");
  expect(code).toBe(2);
  expect(await userOf(appId)).toEqual(before);
});

test("an app's id that is taken is told with its owner's way, and nothing is added", async () => {
  const appId = uniqueName("user");
  await run("add", "--app-id", appId);
  const { code, stderr } = await run("add", "--app-id", appId, "--name", "Another");
  expect(stderr).toMatch(new RegExp(`^The app's id "${appId}" belongs.*user show ${appId}.*\\n$`));
  expect(code).toBe(1);
});

test("show tells how each channel reaches her and why not, her webhooks, and the hour at her place", async () => {
  await makeWorker(db.pool, "sender");
  await db.pool.query("select bookpost_private.offer_channels('sender', '{email}')");
  const appId = uniqueName("user");
  await run(
    ...["add", "--app-id", appId, "--email", "a@example.org", "--phone", "+442079460123"],
    // All day but one minute, by her clock.
    ...["--time-zone", "Asia/Tokyo", "--quiet", "00:00-23:59"],
  );
  const { id } = await userOf(appId);
  await db.pool.query(
    "select bookpost.add_webhook('https://app.example.org/news', $1, 'the app')",
    [id],
  );
  await db.pool.query("select bookpost_private.send_test($1)", [id]);

  const { stdout, code } = await run("show", appId);
  expect(code).toBe(0);
  expect(stdout).toMatch(/time zone +Asia\/Tokyo, where it is \d\d:\d\d\n/);
  expect(stdout).toMatch(/by email +yes\n/);
  expect(stdout).toMatch(/by text +no: the number is not verified \(user verify …\)\n/);
  expect(stdout).toMatch(
    /[0-9a-f]{8} +https:\/\/app.example.org\/news +this user +in use +the app/,
  );
  expect(stdout).toMatch(/email +user.* test +0 +waits, due/);

  // One minute may end while it looks.
  const clock = () =>
    one<{ shows: string }>(
      db.pool,
      "select to_char(now() at time zone 'Asia/Tokyo', 'HH24:MI') as shows",
    );
  const before = await clock();
  const { user, messages } = JSON.parse((await run("show", appId, "--json")).stdout);
  expect([before.shows, (await clock()).shows]).toContain(user.localTime);
  expect(user).toMatchObject({
    id,
    phoneNumber: "+442079460123",
    channels: [
      { channel: "email", isConfigured: true, whyNot: null },
      { channel: "sms", isConfigured: false, whyNot: "not_verified" },
    ],
    webhooks: [{ url: "https://app.example.org/news", isForEveryone: false, disabledReason: null }],
  });
  expect(
    messages.map(({ channel, kind }: Record<string, string>) => [channel, kind]).sort(),
  ).toEqual([
    ["email", "test"],
    ["webhook", "test"],
  ]);
});

test("someone is found by id, the beginning of it, the app's id or the email address", async () => {
  const appId = uniqueName("user");
  const email = `${appId}@example.org`;
  await run("add", "--app-id", appId, "--email", email);
  const { id } = await userOf(appId);
  const ended = await bookpostEach(
    [id, id.toUpperCase(), id.slice(0, 13), appId, email.toUpperCase()].map((text) => [
      "user",
      "show",
      text,
      "--json",
    ]),
    { DATABASE_URL: db.url },
  );
  expect(ended.map(({ stdout }) => JSON.parse(stdout).user.id)).toEqual(Array(5).fill(id));
});

test("an app's id outranks the beginning of another's id, and an address that two have names both, but not itself", async () => {
  const other = await makeUser(db.pool);
  const appId = other.slice(0, 8);
  await run("add", "--app-id", appId, "--email", "shared@example.org");
  const { id } = await userOf(appId);
  expect(JSON.parse((await run("show", appId, "--json")).stdout).user.id).toBe(id);
  await run("set", other, "--email", "shared@example.org");
  const { code, stderr } = await run("show", "shared@example.org");
  expect(stderr).toMatch(/^This email address means 2 users; .*\n$/);
  expect(stderr).toContain(id);
  expect(stderr).toContain(other);
  expect(code).toBe(2);
});

test("list shows the newest first, and that there are more", async () => {
  const [first, second] = [uniqueName("user"), uniqueName("user")];
  await run("add", "--app-id", first);
  await run("add", "--app-id", second, "--email", "c@example.org", "--email-wanted", "no");
  const { stdout, stderr } = await run("list", "--limit", "1");
  expect(stdout).toContain("c@example.org (not wanted)");
  expect(stdout).not.toContain(first);
  expect(stderr).toContain("--limit 2 shows them");
  const users = JSON.parse((await run("list", "--limit", "2", "--json")).stdout);
  expect(users).toMatchObject([{ appUserId: second }, { appUserId: first, books: 0 }]);
});

test("a number is verified by the code that was sent, and by no other", async () => {
  await makeWorker(db.pool, "texter");
  await db.pool.query("select bookpost_private.offer_channels('texter', '{email,sms}')");
  const appId = uniqueName("user");
  await run("add", "--app-id", appId, "--phone", "+442079460125");
  const { id } = await userOf(appId);
  const asked = await run("verify", appId);
  expect(asked.stdout).toMatch(/^A code goes out by text message\..*user verify .* <code>\n$/);
  const { messages } = await one<{ messages: number }>(
    db.pool,
    "select count(*)::integer as messages from bookpost_private.deliveries where user_id = $1 and kind = 'verification' and state = 'queued'",
    [id],
  );
  expect(messages).toBe(1);

  const { right } = await one<{ right: string }>(
    db.pool,
    "select bookpost_private.make_code($1) as right",
    [id],
  );
  const wrong = String((Number(right) + 1) % 1_000_000).padStart(6, "0");
  const refused = await run("verify", appId, wrong);
  expect(refused.stdout).toMatch(/^That is not the code/);
  expect(refused.code).toBe(1);
  const taken = await run("verify", appId, `${right.slice(0, 3)} ${right.slice(3)}`, "--json");
  expect(JSON.parse(taken.stdout)).toEqual({ userId: id, isVerified: true });
  expect(taken.code).toBe(0);
  const again = await run("verify", appId);
  expect(again.stderr).toMatch(/is verified already\.\n$/);
  expect(again.code).toBe(1);
});

const add = (...args: string[]) => ["user", "add", "--name", "Somebody", ...args];
testRefusals(db, "user refuses what makes no sense, and changes nothing", [
  ["nobody", ["user", "add"], "Say who it is"],
  ["nothing but a zone", ["user", "add", "--time-zone", "UTC"], "Say who it is"],
  ["no email", add("--email", "somebody"), "--email must be one address"],
  ["two emails", add("--email", "a@example.org,b@example.org"), "--email must be one address"],
  ["empty email", add("--email", " "), "--email is empty"],
  ["empty name", ["user", "add", "--name", ""], "--name is empty"],
  ["long name", ["user", "add", "--name", "x".repeat(201)], "this one has 201"],
  ["no number", add("--phone", "call me", "--country", "GB"), "phone number"],
  ["number without country", add("--phone", "020 7946 0123"), "needs a country"],
  ["no such country", add("--phone", "020 7946 0123", "--country", "XX"), '"XX"'],
  ["country alone", add("--country", "GB"), "--country goes with --phone"],
  ["unknown zone", add("--time-zone", "Mars/Phobos"), '"Mars/Phobos"'],
  ["offset for a zone", add("--time-zone", "+02:00"), '"+02:00"'],
  ["zone only Postgres reads", add("--time-zone", "Foo+3"), '"Foo+3"'],
  ["no language", add("--language", "English"), '"English"'],
  ["one hour", add("--quiet", "22:00"), '"22:00"'],
  ["no hours", add("--quiet", "25:00-07:00"), '"25:00-07:00"'],
  ["the same hour", add("--quiet", "07:00-07:00"), '"07:00-07:00"'],
  ["neither yes nor no", add("--email-wanted", "maybe"), "'maybe'"],
  ["unknown user", ["user", "show", "nobody"], 'There is no user "nobody"'],
  ["unknown address", ["user", "show", "nobody@example.org"], "with this email address"],
  ["too short an id", ["user", "show", "abc"], "at least the first 4"],
  ["no user", ["user", "show"], "'user'"],
  ["no change", ["user", "set", "nobody"], "Say what is to change"],
  ["unknown channel", ["user", "set", "nobody", "--opt-in", "webhook"], '"webhook" is neither'],
  ["in and out", ["user", "set", "nobody", "--opt-in", "sms", "--opt-out", "sms"], "one of them"],
  ["bad limit", ["user", "list", "--limit", "all"], '"all"'],
  ["unknown command", ["user", "remove", "nobody"], "'remove'"],
]);

test("an error never repeats an address or a number", async () => {
  const ended = await bookpostEach(
    [
      add("--email", "some body@example.org"),
      add("--phone", "+44 20 7946 01"),
      ["user", "show", "nobody@example.org"],
    ],
    { DATABASE_URL: db.url },
  );
  for (const { stderr, code } of ended) {
    expect(stderr).not.toMatch(/body@|7946/);
    expect(code).toBe(2);
  }
});
