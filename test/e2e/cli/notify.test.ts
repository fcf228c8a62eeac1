import { expect, test } from "vitest";
import { beginDelivery } from "../../../src/sql/beginDelivery.ts";
import { endDelivery } from "../../../src/sql/endDelivery.ts";
import { makeUser } from "../../helpers/makeUser.ts";
import { makeWorker } from "../../helpers/makeWorker.ts";
import { one } from "../../helpers/one.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { until } from "../../helpers/until.ts";
import { bookpost } from "./bookpost.ts";
import { testRefusals } from "./refusals.ts";

const db = testDatabase();
const run = (...args: string[]) => bookpost(["notify", ...args], { DATABASE_URL: db.url });

/** Someone with an address and a webhook, and a worker that can send both. */
async function reachable(): Promise<string> {
  // It lives for as long as the test may take.
  await makeWorker(db.pool, "sender", { silentFor: "-10 minutes" });
  await db.pool.query("select bookpost_private.offer_channels('sender', '{email}')");
  const id = await makeUser(db.pool);
  await db.pool.query("update bookpost.users set email = 'a@example.org' where id = $1", [id]);
  await db.pool.query("select bookpost.add_webhook('https://app.example.org/news', $1)", [id]);
  return id;
}

/** Stands for the worker: takes the test message of each channel as soon as it is there, and ends its attempt so. */
async function endEach(userId: string, ends: Readonly<Record<string, string>>): Promise<void> {
  for (const [channel, outcome] of Object.entries(ends)) {
    const { id } = await until(`a message by ${channel} waits`, async () => {
      const { rows } = await db.pool.query<{ id: string }>(
        "select id from bookpost_private.deliveries where user_id = $1 and channel = $2 and state = 'queued'",
        [userId, channel],
      );
      return rows[0];
    });
    const order = await beginDelivery(db.pool, id, "sender");
    if (order.verdict !== "send") continue;
    const result = { outcome, error: "the other side said no" };
    await endDelivery(db.pool, id, order.attempt, result);
  }
}

test("what became of each message is told, and all is well when each was sent or dropped on purpose", async () => {
  const id = await reachable();
  await db.pool.query("select bookpost.opt_out($1, 'email')", [id]);
  const [{ code, stdout, stderr }] = await Promise.all([
    run("test", id),
    endEach(id, { webhook: "sent", email: "sent" }),
  ]);
  expect(stderr).toBe("");
  expect(stdout).toMatch(/email +dropped: opted out; only the person's own word/);
  expect(stdout).toMatch(/webhook +sent in \d+\.\d s/);
  expect(stdout).toMatch(/sms +not tried: .*SMS_PROVIDER/);
  expect(code).toBe(0);
});

test("a dead message fails the test, with what the other side said", async () => {
  const id = await reachable();
  const [{ code, stdout }] = await Promise.all([
    run("test", id),
    endEach(id, { email: "no_such_address", webhook: "sent" }),
  ]);
  expect(stdout).toMatch(/email +dead: the address does not exist: the other side said no/);
  expect(code).toBe(1);
});

test("while no worker lives nobody waits for one: told at once, and failed", async () => {
  const id = await reachable();
  await makeWorker(db.pool, "sender", { silentFor: "9 seconds" });
  const { code, stdout } = await run("test", id);
  expect(stdout.match(/still waiting: no worker is alive: npm start/g)).toHaveLength(2);
  expect(code).toBe(1);
});

test("a message that is not sent in the time is told as waiting, with why, for programs too", async () => {
  const id = await reachable();
  await db.pool.query("select bookpost_private.hold_route('email', 'connection refused', 600000)");
  const [{ code, stdout }] = await Promise.all([
    run("test", id, "--wait", "1", "--json"),
    endEach(id, { webhook: "sent" }),
  ]);
  const told = JSON.parse(stdout);
  expect(told.userId).toBe(id);
  const byChannel = new Map<string, Record<string, unknown>>(
    told.messages.map((message: { channel: string }) => [message.channel, message]),
  );
  expect(byChannel.get("email")).toMatchObject({ state: "queued", reason: null, attemptCount: 0 });
  expect(byChannel.get("webhook")).toMatchObject({ state: "sent", attemptCount: 1 });
  expect(told.channels[0]).toMatchObject({ channel: "email", isConfigured: true });
  expect(Date.parse(told.channels[0].heldUntil)).toBeGreaterThan(Date.now());
  expect(code).toBe(1);

  const { stdout: text } = await run("test", id, "--wait", "1");
  expect(text).toMatch(/email +still waiting: after trouble .*again in .*\(connection refused\)/);
  await db.pool.query("delete from bookpost_private.routes");
});

test("--no-wait queues them and that is that", async () => {
  const id = await reachable();
  const { code, stdout } = await run("test", id, "--no-wait");
  expect(stdout).toMatch(/email +waits, due/);
  expect(code).toBe(0);
  const { queued } = await one<{ queued: number }>(
    db.pool,
    "select count(*)::integer as queued from bookpost_private.deliveries where user_id = $1 and kind = 'test' and state = 'queued'",
    [id],
  );
  expect(queued).toBe(2);
});

test("where no channel can be tried the test fails, and says what is missing", async () => {
  await makeWorker(db.pool, "sender");
  await db.pool.query("select bookpost_private.offer_channels('sender', '{}')");
  const { code, stdout } = await run("test", await makeUser(db.pool));
  expect(stdout).toMatch(/email +not tried: .*SMTP_URL/);
  expect(stdout).toMatch(/webhook +not tried: no endpoint/);
  expect(code).toBe(1);
});

testRefusals(db, "notify refuses what makes no sense, and changes nothing", [
  ["nobody", ["notify", "test"], "'user'"],
  ["unknown user", ["notify", "test", "nobody"], 'There is no user "nobody"'],
  ["no number", ["notify", "test", "nobody", "--wait", "long"], '"long"'],
  ["no time at all", ["notify", "test", "nobody", "--wait", "0"], '"0"'],
]);
