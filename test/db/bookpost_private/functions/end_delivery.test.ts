import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { type DeliveryResult, endDelivery } from "../../../../src/sql/endDelivery.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import {
  ageMessages,
  attempt,
  begin,
  bookFor,
  configureChannels,
  deliveryOf,
  makeRecipient,
} from "../../../helpers/recipients.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

// Of email and text messages; webhooks have a file of their own.

const db = testDatabase();

const END = "bookpost_private.end_delivery";

/** Seconds between an attempt's begin and its end on a machine that stalls: no test is about them. */
const STALL = 60;

/** A message to Ann. */
async function oneMessage(client: ClientBase, channel: "email" | "sms" = "email") {
  await configureChannels(client, channel);
  const ann = await makeRecipient(client);
  const book = await bookFor(client, ann);
  const queued = async () =>
    (await (await bookFor(client, ann)).tell("in_transit")).map((d) => d.id);
  const [id = ""] = (await book.tell("in_transit")).map((d) => d.id);
  const end = async (result: DeliveryResult) => {
    await client.query(
      "update bookpost_private.deliveries set due_at = clock_timestamp() where state = 'queued'",
    );
    await client.query("update bookpost_private.routes set not_before = clock_timestamp()");
    const order = await begin(client, id);
    if (order.verdict !== "send") return order.reason;
    return endDelivery(client, id, order.attempt, result);
  };
  const route = async () =>
    (
      await client.query<{ failure_count: number; wait: number }>(
        `select failure_count, extract(epoch from not_before - last_failed_at)::double precision as wait
         from bookpost_private.routes where route = $1`,
        [channel],
      )
    ).rows[0];
  return { ann, book, id, end, route, queued };
}

// What each means is a promise to whoever reads the table.
test.each([
  ["sent", "sent", null, 0, false],
  ["unavailable", "queued", null, 1, true],
  ["deferred", "queued", null, 1, false],
  ["rate_limited", "queued", null, 0, true],
  ["misconfigured", "queued", null, 0, true],
  ["local", "queued", null, 0, false],
  ["refused", "dead", "refused", 1, false],
  ["no_such_address", "dead", "no_such_address", 1, false],
  ["opted_out", "dropped", "opted_out", 0, false],
])("%s leaves a message %s", async (outcome, state, reason, failure_count, isHeld) => {
  const client = await rolledBack(db);
  const { id, end, route } = await oneMessage(client);
  expect(await end({ outcome, error: "So it was.", providerId: "p1" })).toBe(state);
  const ended = state === "queued" ? null : expect.any(Date);
  expect(await deliveryOf(client, id)).toMatchObject({
    state,
    reason,
    failure_count,
    ended_at: ended,
    last_error: "So it was.",
    provider_id: "p1",
    attempt_count: 1,
  });
  expect((await route()) !== undefined).toBe(isHeld);
  const jobs =
    "select run_at > clock_timestamp() as is_later from graphile_worker.jobs where key = 'delivery:' || $1";
  if (state === "queued")
    expect((await client.query(jobs, [id])).rows).toEqual([{ is_later: true }]);
});

test("an attempt cannot end as what the table does not list", async () => {
  const client = await rolledBack(db);
  const { id } = await oneMessage(client);
  await begin(client, id);
  const refusal = await tryOut(client, "select bookpost_private.end_delivery($1, 1, 'lost')", [id]);
  expect(refusal).toMatchObject({ code: "22023", message: expect.stringContaining("lost") });
});

testRule(
  db,
  "an attempt ends once, and only the last one",
  async (client) => {
    const { id } = await oneMessage(client);
    await begin(client, id);
    await begin(client, id);
    expect(await endDelivery(client, id, 1, { outcome: "sent" })).toBe(null);
    expect(await deliveryOf(client, id)).toMatchObject({ state: "sending" });
    expect(await endDelivery(client, id, 2, { outcome: "deferred" })).toBe("queued");
    expect(await endDelivery(client, id, 2, { outcome: "sent" })).toBe(null);
    expect(await deliveryOf(client, id)).toMatchObject({ state: "queued", failure_count: 2 });
  },
  {
    "any attempt counts": {
      function: END,
      from: " and d.attempt_count = end_delivery.attempt",
      to: "",
    },
  },
);

for (const channel of ["email", "sms"] as const)
  testRule(
    db,
    `${channel} that fails is tried again after e, e², … e¹⁰ seconds and up to a fifth more, and is dead after 25 failures`,
    async (client) => {
      const { id, end } = await oneMessage(client, channel);
      for (let failure = 1; failure < 25; failure++) {
        expect(await end({ outcome: "deferred", error: "Later." })).toBe("queued");
        const seconds = Math.exp(Math.min(failure, 10));
        const { wait } = await deliveryOf(client, id);
        expect(wait).toBeGreaterThan(seconds - STALL);
        expect(wait).toBeLessThanOrEqual(seconds * 1.2 + 0.001);
      }
      expect(await end({ outcome: "deferred", error: "Later." })).toBe("dead");
      expect(await deliveryOf(client, id)).toMatchObject({
        reason: "attempts_spent",
        failure_count: 25,
        last_error: "Later.",
      });
    },
    {
      "one more is allowed": {
        function: END,
        from: "if v_failures >= v_channel.max_failures then",
        to: "if v_failures > v_channel.max_failures then",
      },
    },
  );

test.each(["rate_limited", "misconfigured", "local"])(
  "%s is never this message's failure",
  async (outcome) => {
    const client = await rolledBack(db);
    const { id, end } = await oneMessage(client);
    for (let i = 0; i < 30; i++) expect(await end({ outcome })).toBe("queued");
    expect(await deliveryOf(client, id)).toMatchObject({ failure_count: 0 });
    expect(await end({ outcome: "sent" })).toBe("sent");
  },
);

testRule(
  db,
  "a way that fails is left alone for five seconds, twice as long each time up to five minutes, until something passes",
  async (client) => {
    const { end, route } = await oneMessage(client);
    for (const seconds of [5, 10, 20, 40, 80, 160, 300, 300]) {
      await end({ outcome: "unavailable" });
      expect((await route())?.wait).toBeCloseTo(seconds, 1);
    }
    expect(await route()).toMatchObject({ failure_count: 8 });
    await end({ outcome: "sent" });
    expect(await route()).toMatchObject({ failure_count: 0, wait: null });
  },
  {
    "it is never doubled": {
      function: "bookpost_private.hold_route",
      from: "power((2)::double precision,",
      to: "power((1)::double precision,",
    },
    "nothing ends it": {
      function: END,
      from: "set failure_count = 0, not_before = null",
      to: "set failure_count = r.failure_count",
    },
  },
);

test("what the provider says of when to come again is obeyed by the message and by its way", async () => {
  const client = await rolledBack(db);
  const { id, end, route } = await oneMessage(client, "sms");
  await end({ outcome: "rate_limited", retryAfterMs: 600_000 });
  expect((await route())?.wait).toBeCloseTo(600, 1);
  const { wait } = await deliveryOf(client, id);
  expect(wait).toBeGreaterThan(600 - STALL);
  expect(wait).toBeLessThanOrEqual(600);
});

const setEmail = (client: ClientBase, person: string, email: string) =>
  client.query("update bookpost.users set email = $2 where id = $1", [person, email]);

testRule(
  db,
  "to an address that does not exist nothing more is sent, neither what waits nor what comes",
  async (client) => {
    const { end, queued } = await oneMessage(client);
    const [waiting = ""] = await queued();
    expect(await end({ outcome: "no_such_address" })).toBe("dead");
    expect(await attempt(client, waiting)).toBe("address_refused");
    expect(await queued()).toEqual([]);
  },
  {
    "it is not noted": {
      function: END,
      from: "set email_refused_at = v_now",
      to: "set email_refused_at = null",
    },
  },
);

test.each([
  ["a new address", (client: ClientBase, ann: string) => setEmail(client, ann, "new@example.org")],
  [
    "her own word",
    (client: ClientBase, ann: string) => client.query("select bookpost.opt_in($1, 'email')", [ann]),
  ],
])("%s ends the refusal of an address", async (_, mend) => {
  const client = await rolledBack(db);
  const { ann, end, queued } = await oneMessage(client);
  await end({ outcome: "no_such_address" });
  await mend(client, ann);
  expect(await queued()).toHaveLength(1);
});

testRule(
  db,
  "that the former address does not exist says nothing of the one she has by now",
  async (client) => {
    const { ann, id, queued } = await oneMessage(client);
    await begin(client, id);
    await setEmail(client, ann, "right@example.org");
    expect(await endDelivery(client, id, 1, { outcome: "no_such_address" })).toBe("dead");
    expect(await queued()).toHaveLength(1);
  },
  {
    "it is refused as well": {
      function: END,
      from: "and sha256(convert_to(u.email, 'UTF8')) = v_delivery.email_hash",
      to: "",
    },
  },
);

test("the same address said again does not end its refusal", async () => {
  const client = await rolledBack(db);
  const { ann, end, queued } = await oneMessage(client);
  await end({ outcome: "no_such_address" });
  await client.query("update bookpost.users set email = email, name = 'Anna' where id = $1", [ann]);
  expect(await queued()).toEqual([]);
});

testRule(
  db,
  "STOP ends all text messages, also those that wait, and no app can overrule it; her own word does",
  async (client) => {
    const { ann, end, queued } = await oneMessage(client, "sms");
    const [waiting = ""] = await queued();
    expect(await end({ outcome: "opted_out" })).toBe("dropped");
    await client.query("update bookpost.users set is_sms_wanted = true where id = $1", [ann]);
    expect(await attempt(client, waiting)).toBe("opted_out");
    expect(await queued()).toEqual([]);
    await client.query("select bookpost.opt_in($1, 'sms')", [ann]);
    expect(await queued()).toHaveLength(1);
  },
  {
    "it is not noted": {
      function: END,
      from: "set sms_opted_out_at = v_now",
      to: "set sms_opted_out_at = null",
    },
  },
);

test("an email that is ended as opted out silences no phone, and a text message to nobody no inbox", async () => {
  const client = await rolledBack(db);
  const { ann, end } = await oneMessage(client);
  await end({ outcome: "opted_out" });
  const sql = "select sms_opted_out_at, email_refused_at from bookpost.users where id = $1";
  expect(await one(client, sql, [ann])).toEqual({ sms_opted_out_at: null, email_refused_at: null });
  const { ann: ben, end: endText } = await oneMessage(client, "sms");
  expect(await endText({ outcome: "no_such_address" })).toBe("dead");
  expect(await one(client, sql, [ben])).toEqual({ sms_opted_out_at: null, email_refused_at: null });
});

test("an error is kept on one line, 500 characters of it, and the last one stays when it is sent after all", async () => {
  const client = await rolledBack(db);
  const { id, end } = await oneMessage(client);
  await end({ outcome: "deferred", error: `One\r\n\u0000two`.replace("\u0000", "\u001b") });
  expect(await deliveryOf(client, id)).toMatchObject({ last_error: "One two" });
  await end({ outcome: "deferred", error: "x".repeat(600) });
  expect((await deliveryOf(client, id)).last_error).toHaveLength(500);
  await end({ outcome: "sent" });
  expect((await deliveryOf(client, id)).last_error).toHaveLength(500);
});

const RETRY = "select bookpost_private.retry_delivery($1)";

test("a dead message that is brought back is as new: its failures and its age are forgotten, its id is the same", async () => {
  const client = await rolledBack(db);
  const { id, end } = await oneMessage(client);
  await end({ outcome: "refused" });
  await ageMessages(client, "97 hours");
  await client.query(RETRY, [id]);
  expect(await deliveryOf(client, id)).toMatchObject({
    state: "queued",
    reason: null,
    failure_count: 0,
  });
  const jobs =
    "select run_at <= clock_timestamp() as is_due from graphile_worker.jobs where key = 'delivery:' || $1";
  expect((await client.query(jobs, [id])).rows).toEqual([{ is_due: true }]);
  expect(await begin(client, id)).toMatchObject({ verdict: "send", attempt: 2, message: { id } });
  expect(await endDelivery(client, id, 1, { outcome: "refused" })).toBe(null);
  expect(await endDelivery(client, id, 2, { outcome: "sent" })).toBe("sent");
});

test.each(["sent", "opted_out", "deferred"])(
  "a message that is not dead (%s) is not sent again",
  async (outcome) => {
    const client = await rolledBack(db);
    const { id, end } = await oneMessage(client);
    const state = await end({ outcome });
    expect(await tryOut(client, RETRY, [id])).toMatchObject({
      code: "BP409",
      message: expect.stringContaining(`is ${state} and not dead`),
    });
  },
);

test("nobody's message cannot be brought back", async () => {
  const client = await rolledBack(db);
  const nobody = "00000000-0000-4000-8000-000000000000";
  expect(await tryOut(client, RETRY, [nobody])).toMatchObject({ code: "BP404" });
});
