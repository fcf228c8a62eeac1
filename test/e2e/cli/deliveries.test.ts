import { expect, test } from "vitest";
import { makeUser } from "../../helpers/makeUser.ts";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(["deliveries", ...args], { DATABASE_URL: db.url });

/** A test message to someone, in this state; the id. */
async function message(
  userId: string,
  options: { readonly state?: string; readonly channel?: string; readonly endpoint?: string } = {},
): Promise<string> {
  const { state = "queued", channel = "email", endpoint = null } = options;
  const { id } = await one<{ id: string }>(
    db.pool,
    `insert into bookpost_private.deliveries (user_id, channel, endpoint_id, kind, state, reason, last_error, ended_at)
     values ($1, $2, $3, 'test', $4, case when $4 in ('dropped', 'dead') then 'refused' end,
       case when $4 = 'dead' then 'the mailbox is closed' end, case when $4 <> 'queued' then clock_timestamp() end)
     returning id`,
    [userId, channel, endpoint, state],
  );
  return id;
}

async function stateOf(id: string) {
  return one<{ state: string; jobs: number }>(
    db.pool,
    `select d.state, (select count(*)::integer from graphile_worker.jobs j where j.key = 'delivery:' || d.id) as jobs
     from bookpost_private.deliveries d where d.id = $1`,
    [id],
  );
}

test("messages are listed newest first, those of one person, and those that are dead", async () => {
  const [ada, other] = [await makeUser(db.pool), await makeUser(db.pool)];
  const sent = await message(ada, { state: "sent" });
  const dead = await message(ada, { state: "dead" });
  await message(other, { state: "dead" });
  const ofAda = JSON.parse((await run("--user", ada, "--json")).stdout);
  expect(ofAda).toMatchObject([
    { id: dead, state: "dead", reason: "refused", lastError: "the mailbox is closed", userId: ada },
    { id: sent, state: "sent", channel: "email", kind: "test", attemptCount: 0 },
  ]);
  const { stdout, code } = await run("--dead", "--user", ada);
  expect(stdout).toMatch(
    new RegExp(
      `^${dead.slice(0, 8)} .* email .* test .*dead: .*will never take it: the mailbox is`,
      "m",
    ),
  );
  expect(stdout).not.toContain(sent.slice(0, 8));
  expect(code).toBe(0);
});

test("--limit cuts the list and says so, and a person without messages has none", async () => {
  const id = await makeUser(db.pool);
  expect((await run("--user", id, "--dead")).stdout).toBe("No message is dead.\n");
  for (const state of ["sent", "sent", "sent"]) await message(id, { state });
  const { stdout, stderr } = await run("--user", id, "--limit", "2");
  expect(stdout.trimEnd().split("\n")).toHaveLength(3);
  expect(stderr).toContain("--limit 4 shows them");
});

test("a dead message is queued again by the beginning of its id", async () => {
  const id = await message(await makeUser(db.pool), { state: "dead" });
  const { code, stdout, stderr } = await run("retry", id.slice(0, 12));
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: "1 message is queued again.\n",
    stderr: "",
  });
  expect(await stateOf(id)).toEqual({ state: "queued", jobs: 1 });
});

test("a message that is not dead, or whose webhook is disabled, is not sent again, and why is told", async () => {
  const user = await makeUser(db.pool);
  const sent = await message(user, { state: "sent" });
  const again = await run("retry", sent, "--json");
  expect(JSON.parse(again.stderr).error).toMatchObject({ code: "CONFLICT" });
  expect(again.stderr).toContain("is sent and not dead");
  expect(again.code).toBe(1);

  const endpoint = await disabledEndpoint();
  const dead = await message(user, { state: "dead", channel: "webhook", endpoint });
  const refused = await run("retry", dead);
  expect(refused.stderr).toMatch(/endpoint of message .* is disabled: enable it first.*\n$/);
  expect(refused.code).toBe(1);
  expect(await stateOf(dead)).toEqual({ state: "dead", jobs: 0 });
});

async function disabledEndpoint(): Promise<string> {
  const { id } = await one<{ id: string }>(
    db.pool,
    `select endpoint_id as id from bookpost.add_webhook('https://app.example.org/news')`,
  );
  await db.pool.query("select bookpost.disable_webhook($1)", [id]);
  return id;
}

test("all dead ones are queued again, by channel, but for those of disabled webhooks", async () => {
  await run("retry", "--all-dead");
  const user = await makeUser(db.pool);
  const endpoint = await disabledEndpoint();
  const email = await message(user, { state: "dead" });
  const sms = await message(user, { state: "dead", channel: "sms" });
  const hook = await message(user, { state: "dead", channel: "webhook", endpoint });
  const first = await run("retry", "--all-dead", "--channel", "sms", "--json");
  expect(JSON.parse(first.stdout)).toEqual({ retried: [sms] });
  const { stdout, code } = await run("retry", "--all-dead");
  expect(stdout).toBe("1 message is queued again.\n");
  expect(code).toBe(0);
  expect(await stateOf(email)).toEqual({ state: "queued", jobs: 1 });
  expect(await stateOf(hook)).toEqual({ state: "dead", jobs: 0 });
  expect((await run("retry", "--all-dead")).stdout).toBe(
    "No message is dead that could be sent again.\n",
  );
});

testRefusals(db, "deliveries refuses what makes no sense, and changes nothing", [
  ["unknown user", ["deliveries", "--user", "nobody"], 'There is no user "nobody"'],
  ["bad limit", ["deliveries", "--limit", "0"], '"0"'],
  ["unknown command", ["deliveries", "remove"], "Too many arguments"],
  ["unknown message", ["deliveries", "retry", "deadbeef"], 'There is no message "deadbeef"'],
  ["no id", ["deliveries", "retry", "xyz"], 'There is no message "xyz"'],
  ["one or all", ["deliveries", "retry"], "--all-dead"],
  ["one and all", ["deliveries", "retry", "deadbeef", "--all-dead"], "--all-dead"],
  ["channel of one", ["deliveries", "retry", "deadbeef", "--channel", "sms"], "goes with"],
  ["unknown channel", ["deliveries", "retry", "--all-dead", "--channel", "fax"], "'fax'"],
  // It would retry everybody's.
  ["a person's", ["deliveries", "retry", "--all-dead", "--user", "nobody"], "'--user'"],
]);
