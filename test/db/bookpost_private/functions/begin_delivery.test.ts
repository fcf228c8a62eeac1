import type { ClientBase } from "pg";
import { expect } from "vitest";
import type { Message } from "../../../../src/notifications/message.ts";
import { endDelivery } from "../../../../src/sql/endDelivery.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { one } from "../../../helpers/one.ts";
import {
  ageMessages,
  attempt,
  begin,
  bookFor,
  type Channel,
  configureChannels,
  deliveriesTo,
  deliveryOf,
  makeRecipient,
} from "../../../helpers/recipients.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";

const db = testDatabase();

const BEGIN = "bookpost_private.begin_delivery";

/** Ann and a book of hers, told by one channel; and by webhook where that is the one. */
async function annsBook(client: ClientBase, channel: Channel = "email") {
  await configureChannels(client, channel);
  const ann = await makeRecipient(client);
  if (channel === "webhook")
    await client.query("select bookpost.add_webhook('https://hooks.example/', $1)", [ann]);
  const book = await bookFor(client, ann);
  const tell = async (status: string, of: Pick<typeof book, "tell"> = book) => {
    const [delivery, ...more] = await of.tell(status);
    if (!delivery || more.length > 0) throw new Error(`${status} did not make one message`);
    return delivery.id;
  };
  return { ann, book, tell };
}

async function messageOf(client: ClientBase, id: string): Promise<Message> {
  const order = await begin(client, id);
  if (order.verdict !== "send") throw new Error(`${order.verdict}: ${order.reason}`);
  return order.message as Message;
}

const newsOf = (message: Message) => message.news.map((n) => `${n.book.title}: ${n.status}`);

const jobAt = async (client: ClientBase, id: string) =>
  (
    await one<{ wait: number }>(
      client,
      `select extract(epoch from run_at - clock_timestamp())::double precision as wait
       from graphile_worker.jobs where key = 'delivery:' || $1`,
      [id],
    )
  ).wait;

testRule(
  db,
  "an email carries the address, the way to unsubscribe and no phone number; a text message the number alone",
  async (client) => {
    const { ann, tell, book } = await annsBook(client);
    const { person, ...email } = await messageOf(client, await tell("in_transit"));
    expect(email).toMatchObject({ channel: "email", kind: "news", endpoint: null });
    expect(person).toMatchObject({
      id: ann,
      name: "Ann",
      email: expect.stringContaining("@"),
      phoneNumber: null,
    });
    const token = await one(client, "select bookpost.unsubscribe($1) as is_hers", [
      person?.unsubscribeToken,
    ]);
    expect(token).toEqual({ is_hers: true });
    await configureChannels(client, "sms");
    const { person: phone } = await messageOf(client, await tell("exception"));
    expect(phone).toMatchObject({
      email: null,
      unsubscribeToken: null,
      phoneNumber: expect.stringContaining("+"),
    });
    expect(email.news).toMatchObject([
      {
        kind: "stage",
        status: "in_transit",
        statusVersion: 1,
        book: { id: book.bookId },
        parcel: { id: book.parcelId, trackingNumber: book.number },
      },
    ]);
  },
);

testRule(db, "one that nobody knows or that has ended is to be left alone", async (client) => {
  const { tell } = await annsBook(client);
  const nobody = "00000000-0000-4000-8000-000000000000";
  expect(await begin(client, nobody)).toMatchObject({ verdict: "ended", reason: "gone" });
  const id = await tell("in_transit");
  expect(await attempt(client, id)).toBe("sent");
  expect(await begin(client, id)).toMatchObject({ verdict: "ended", reason: "sent" });
  expect(await deliveryOf(client, id)).toMatchObject({ attempt_count: 1 });
});

testRule(
  db,
  "one that is not due waits, and its job with it",
  async (client) => {
    const { tell } = await annsBook(client);
    const id = await tell("in_transit");
    await client.query(
      "update bookpost_private.deliveries set due_at = clock_timestamp() + interval '1 hour'",
    );
    expect(await begin(client, id)).toMatchObject({ verdict: "wait", reason: "not_due" });
    expect(await jobAt(client, id)).toBeGreaterThan(3_500);
    expect(await deliveryOf(client, id)).toMatchObject({ state: "queued", attempt_count: 0 });
  },
  {
    "it is sent": {
      function: BEGIN,
      from: "if v_delivery.due_at > v_now + interval '1 second' then",
      to: "if false then",
    },
  },
);

const REFUSALS: readonly (readonly [Channel, string, string])[] = [
  ["email", "email = null", "no_address"],
  ["email", "email_opted_out_at = now()", "opted_out"],
  ["email", "is_email_wanted = false", "not_wanted"],
  ["email", "email_refused_at = now()", "address_refused"],
  ["sms", "phone_number = null", "no_address"],
  ["sms", "sms_opted_out_at = now()", "opted_out"],
  ["sms", "phone_number = '+447400999999'", "not_verified"],
  ["sms", "is_sms_wanted = false", "not_wanted"],
];
for (const [channel, change, reason] of REFUSALS)
  testRule(
    db,
    `with ${change} between the news and its sending, the ${channel} is dropped: ${reason}`,
    async (client) => {
      const { ann, tell } = await annsBook(client, channel);
      const id = await tell("in_transit");
      await client.query(`update bookpost.users set ${change} where id = $1`, [ann]);
      expect(await begin(client, id)).toMatchObject({ verdict: "ended", reason });
      expect(await deliveryOf(client, id)).toMatchObject({
        state: "dropped",
        reason,
        attempt_count: 0,
      });
    },
    change.includes("opted_out")
      ? {
          "nobody asks again": {
            function: BEGIN,
            from: "else bookpost_private.why_not_reached(v_person, v_delivery.channel)",
            to: "else null",
          },
        }
      : {},
  );

const INSIDE = `quiet_from = (clock_timestamp() at time zone 'UTC' - interval '1 hour')::time,
  quiet_until = (clock_timestamp() at time zone 'UTC' + interval '1 hour')::time`;

for (const channel of ["email", "sms"] as const)
  testRule(
    db,
    `news by ${channel} wait for the end of the quiet hours`,
    async (client) => {
      const { ann, tell } = await annsBook(client, channel);
      const id = await tell("in_transit");
      await client.query(`update bookpost.users set ${INSIDE} where id = $1`, [ann]);
      expect(await begin(client, id)).toMatchObject({ verdict: "wait", reason: "quiet_hours" });
      const { wait, state } = await deliveryOf(client, id);
      expect(state).toBe("queued");
      expect(wait).toBeGreaterThan(3_540);
      expect(wait).toBeLessThanOrEqual(3_600);
      expect(await jobAt(client, id)).toBeGreaterThan(3_540);
      await client.query("update bookpost.users set quiet_from = null, quiet_until = null");
      await ageMessages(client, "1 hour");
      expect(await attempt(client, id)).toBe("sent");
    },
    { "they are sent": { function: BEGIN, from: "if v_until > v_now then", to: "if false then" } },
  );

testRule(db, "webhooks, tests and codes keep no quiet hours", async (client) => {
  const { ann, tell } = await annsBook(client, "webhook");
  await client.query(`update bookpost.users set ${INSIDE} where id = $1`, [ann]);
  expect(await attempt(client, await tell("in_transit"))).toBe("sent");
  await configureChannels(client, "email", "sms");
  const { rows: tests } = await client.query<{ id: string }>(
    "select bookpost_private.send_test($1) as id",
    [ann],
  );
  expect(tests).toHaveLength(3);
  for (const { id } of tests) expect(await attempt(client, id)).toBe("sent");
  await client.query("update bookpost.users set phone_verified_at = null where id = $1", [ann]);
  const code = await one<{ id: string }>(
    client,
    "select bookpost.request_phone_verification($1) as id",
    [ann],
  );
  expect(await attempt(client, code.id)).toBe("sent");
});

for (const channel of ["email", "sms", "webhook"] as const)
  testRule(
    db,
    channel === "webhook"
      ? "a webhook hears of every stage, though newer ones wait"
      : `by ${channel}, older news are dropped when newer ones of the same book wait`,
    async (client) => {
      const { tell } = await annsBook(client, channel);
      const [older, newer] = [await tell("in_transit"), await tell("out_for_delivery")];
      expect(await attempt(client, older)).toBe(channel === "webhook" ? "sent" : "superseded");
      expect(await attempt(client, newer)).toBe("sent");
    },
    channel === "webhook"
      ? {}
      : {
          "they are sent": {
            function: "bookpost_private.items_to_tell",
            from: "(c.supersedes AND ",
            to: "(false AND ",
          },
        },
  );

testRule(
  db,
  "newer news that were sent before it drop older ones as well: the order of two is never turned round",
  async (client) => {
    const { tell } = await annsBook(client);
    const older = await tell("in_transit");
    expect(await attempt(client, older, "unavailable")).toBe("queued");
    await client.query("delete from bookpost_private.routes");
    const newer = await tell("out_for_delivery");
    expect(await attempt(client, newer)).toBe("sent");
    await ageMessages(client, "1 minute");
    expect(await attempt(client, older)).toBe("superseded");
  },
);

testRule(db, "news of another book are no newer news", async (client) => {
  const { ann, tell } = await annsBook(client);
  const first = await tell("in_transit");
  await tell("out_for_delivery", await bookFor(client, ann, { title: "Another" }));
  expect(await attempt(client, first)).toBe("sent");
});

testRule(
  db,
  "an estimate and the stage before it are both told, for neither says what the other does; the newer of two estimates alone",
  async (client) => {
    const { book } = await annsBook(client);
    const events = [scan(new Date().toISOString(), "in_transit")];
    for (const day of ["10", "12", "14"])
      await lookUp(client, book.parcelId, (id) =>
        found(id, { events, estimated_from: `2036-12-${day}`, estimated_until: `2036-12-${day}` }),
      );
    const { rows } = await client.query<{ id: string }>(
      `select d.id from bookpost_private.deliveries d join bookpost_private.delivery_items i on i.delivery_id = d.id
       join bookpost.notifications n on n.id = i.notification_id order by n.notice_version nulls first`,
    );
    const ends = [];
    for (const { id } of rows) ends.push(await attempt(client, id));
    expect(ends).toEqual(["sent", "superseded", "sent"]);
  },
);

testRule(
  db,
  "of a message about two books, the one of which newer news wait is left out",
  async (client) => {
    const { ann, book, tell } = await annsBook(client);
    const other = await bookFor(client, ann, {
      title: "Another",
      number: book.number,
      apiCode: book.apiCode,
    });
    const both = await tell("in_transit");
    await client.query("select bookpost.stop_tracking($1)", [other.bookId]);
    await tell("out_for_delivery");
    expect(newsOf(await messageOf(client, both))).toEqual(["Another: in_transit"]);
  },
);

testRule(db, "news of a book that was deleted are dropped", async (client) => {
  const { book, tell } = await annsBook(client);
  const id = await tell("in_transit");
  await client.query("delete from bookpost.books where id = $1", [book.bookId]);
  expect(await begin(client, id)).toMatchObject({ verdict: "ended", reason: "book_gone" });
});

const DAMPED = "o.created_at > (i.created_at - c.damping)";

testRule(
  db,
  "there and back within half an hour is told once: the way there is superseded, and the way back was told before",
  async (client) => {
    const { ann, tell } = await annsBook(client);
    expect(await attempt(client, await tell("in_transit"))).toBe("sent");
    await ageMessages(client, "5 minutes");
    const [there, back] = [await tell("exception"), await tell("in_transit")];
    expect(await attempt(client, there)).toBe("superseded");
    expect(await attempt(client, back)).toBe("not_due");
    await ageMessages(client, "30 minutes");
    expect(await attempt(client, back)).toBe("superseded");
    expect((await deliveriesTo(client, ann)).map((d) => d.state)).toEqual([
      "sent",
      "dropped",
      "dropped",
    ]);
  },
  { "it is told again": { function: "bookpost_private.items_to_tell", from: DAMPED, to: "false" } },
);

testRule(
  db,
  "where the way there was told, the way back is told too, when half an hour is over",
  async (client) => {
    const { tell } = await annsBook(client);
    expect(await attempt(client, await tell("in_transit"))).toBe("sent");
    await ageMessages(client, "5 minutes");
    expect(await attempt(client, await tell("exception"))).toBe("sent");
    const back = await tell("in_transit");
    expect(await attempt(client, back)).toBe("not_due");
    await ageMessages(client, "26 minutes");
    expect(await attempt(client, back)).toBe("sent");
  },
);

testRule(
  db,
  "while the way there is in a worker's hands, or was when it died, the way back is told: it may be what she hears last",
  async (client) => {
    const { tell } = await annsBook(client);
    expect(await attempt(client, await tell("in_transit"))).toBe("sent");
    await ageMessages(client, "25 minutes");
    const there = await tell("exception");
    expect(await begin(client, there)).toMatchObject({ verdict: "send" });
    const back = await tell("in_transit");
    await ageMessages(client, "6 minutes");
    await client.query("savepoint in_its_hands");
    expect(await attempt(client, back)).toBe("sent");
    await client.query("rollback to savepoint in_its_hands");
    expect(await begin(client, there)).toMatchObject({ verdict: "ended", reason: "superseded" });
    expect(await attempt(client, back)).toBe("sent");
  },
  {
    "only what was sent counts": {
      function: "bookpost_private.items_to_tell",
      from: "(ARRAY['sent'::text, 'sending'::text])",
      to: "(ARRAY['sent'::text])",
    },
  },
);

testRule(
  db,
  "what a digest has left out was not told, and does not stand in the way of the same stage reached again",
  async (client) => {
    const { ann, tell } = await annsBook(client, "sms");
    const another = async () =>
      tell("in_transit", await bookFor(client, ann, { title: "Another" }));
    for (let i = 0; i < 2; i++) expect(await attempt(client, await another())).toBe("sent");
    await ageMessages(client, "40 minutes");
    expect(await attempt(client, await tell("in_transit"))).toBe("sent");
    await ageMessages(client, "1 minute");
    expect(await attempt(client, await tell("exception"))).toBe("folded");
    expect(await attempt(client, await another())).toBe("folded");
    await ageMessages(client, "4 minutes");
    const back = await tell("in_transit");
    await ageMessages(client, "16 minutes");
    const digest = (await deliveriesTo(client, ann)).find((d) => d.kind === "digest")?.id ?? "";
    const message = await messageOf(client, digest);
    expect(newsOf(message)).toEqual(["Another: in_transit"]);
    await endDelivery(client, digest, 1, { outcome: "sent" });
    const again = await tell("exception");
    await ageMessages(client, "11 minutes");
    expect(await attempt(client, back)).toBe("superseded");
    expect(await attempt(client, again)).toBe("sent");
  },
  {
    "it counts as told": {
      function: "bookpost_private.items_to_tell",
      from: " AND t.is_told",
      to: "",
    },
  },
);

for (const [channel, cap] of [
  ["email", 10],
  ["sms", 3],
] as const)
  testRule(
    db,
    `${cap} messages an hour by ${channel}, and all that is more in one digest when the hour is over, which counts`,
    async (client) => {
      const { ann, tell } = await annsBook(client, channel);
      const another = async (title: string) => bookFor(client, ann, { title });
      for (let i = 0; i < cap; i++)
        expect(await attempt(client, await tell("in_transit", await another(`Sent ${i}`)))).toBe(
          "sent",
        );
      await ageMessages(client, "20 minutes");
      const one = await another("One");
      const first = await tell("in_transit", one);
      expect(await attempt(client, first)).toBe("folded");
      const digests = async () =>
        (await deliveriesTo(client, ann)).filter((d) => d.kind === "digest");
      const [digest, ...others] = await digests();
      if (!digest) throw new Error("there is no digest");
      expect(others).toEqual([]);
      expect(digest.wait).toBeGreaterThan(39 * 60);
      expect(digest.wait).toBeLessThanOrEqual(40 * 60);
      expect(await jobAt(client, digest.id)).toBeGreaterThan(39 * 60);
      expect(await deliveryOf(client, first)).toMatchObject({
        state: "folded",
        digest_id: digest.id,
      });
      // Newer news of the same book, and news of another.
      await ageMessages(client, "10 minutes");
      expect(await attempt(client, await tell("exception", one))).toBe("folded");
      expect(await attempt(client, await tell("delivered", await another("Two")))).toBe("folded");
      expect(await digests()).toHaveLength(1);
      expect(await attempt(client, digest.id)).toBe("not_due");
      await ageMessages(client, "31 minutes");
      // The hour is over, but while a digest waits, all is told there.
      expect(await attempt(client, await tell("in_transit", await another("Three")))).toBe(
        "folded",
      );
      const order = await begin(client, digest.id);
      if (order.verdict !== "send") throw new Error(order.reason);
      expect(newsOf(order.message as Message)).toEqual([
        "One: exception",
        "Three: in_transit",
        "Two: delivered",
      ]);
      await endDelivery(client, digest.id, order.attempt, { outcome: "sent" });
      // It has been one of this hour's.
      for (let i = 1; i < cap; i++)
        expect(await attempt(client, await tell("in_transit", await another(`Next ${i}`)))).toBe(
          "sent",
        );
      expect(await attempt(client, await tell("in_transit", await another("Too much")))).toBe(
        "folded",
      );
      expect(await digests()).toHaveLength(2);
    },
    {
      "there is no cap": {
        function: BEGIN,
        from: "if v_channel.cap_per_hour is not null then",
        to: "if false then",
      },
      "one more passes": {
        function: BEGIN,
        from: "offset v_channel.cap_per_hour - 1 limit 1",
        to: "offset v_channel.cap_per_hour limit 1",
      },
      "digests do not count": {
        function: BEGIN,
        from: "d.state in ('sent', 'sending') and d.kind in ('news', 'digest')",
        to: "d.state in ('sent', 'sending') and d.kind = 'news'",
      },
    },
  );

testRule(
  db,
  "attempts that failed, tests and another person's messages take no room in the hour",
  async (client) => {
    const { ann, tell } = await annsBook(client, "sms");
    const failing = await tell("in_transit", await bookFor(client, ann));
    await attempt(client, failing, "deferred");
    for (let i = 0; i < 3; i++) {
      const { id } = await one<{ id: string }>(
        client,
        "select bookpost_private.send_test($1) as id",
        [ann],
      );
      expect(await attempt(client, id)).toBe("sent");
    }
    const ben = await makeRecipient(client);
    for (let i = 0; i < 3; i++)
      expect(await attempt(client, await tell("in_transit", await bookFor(client, ben)))).toBe(
        "sent",
      );
    for (let i = 0; i < 3; i++)
      expect(await attempt(client, await tell("in_transit", await bookFor(client, ann)))).toBe(
        "sent",
      );
  },
);

testRule(db, "a digest that finds the hour full waits for the next", async (client) => {
  const { ann, tell } = await annsBook(client, "sms");
  for (let i = 0; i < 3; i++)
    await attempt(client, await tell("in_transit", await bookFor(client, ann)));
  await ageMessages(client, "5 minutes");
  await attempt(client, await tell("in_transit"));
  await client.query(
    "update bookpost_private.deliveries set due_at = clock_timestamp() where kind = 'digest'",
  );
  const digest = (await deliveriesTo(client, ann)).find((d) => d.kind === "digest");
  expect(await attempt(client, digest?.id ?? "")).toBe("cap_of_the_hour");
  const { wait } = await deliveryOf(client, digest?.id ?? "");
  expect(wait).toBeGreaterThan(54 * 60);
  expect(wait).toBeLessThanOrEqual(55 * 60);
});

/** A digest that is due, of one message. */
async function dueDigest(client: ClientBase) {
  const stage = await annsBook(client, "sms");
  const { ann, tell } = stage;
  for (let i = 0; i < 3; i++)
    await attempt(client, await tell("in_transit", await bookFor(client, ann)));
  await attempt(client, await tell("in_transit"));
  await ageMessages(client, "61 minutes");
  const digest = (await deliveriesTo(client, ann)).find((d) => d.kind === "digest")?.id ?? "";
  return { ...stage, digest };
}

testRule(
  db,
  "a digest that is tried again leaves out what newer news have replaced meanwhile, and is dropped where that is all",
  async (client) => {
    const { tell, digest } = await dueDigest(client);
    const order = await begin(client, digest);
    // While it is on its way, news go by themselves.
    expect(await attempt(client, await tell("delivered"))).toBe("sent");
    if (order.verdict !== "send") throw new Error(order.reason);
    await endDelivery(client, digest, order.attempt, { outcome: "deferred" });
    await ageMessages(client, "1 minute");
    expect(await attempt(client, digest)).toBe("superseded");
  },
);

testRule(db, "a digest whose books are all gone is dropped", async (client) => {
  const { digest, book } = await dueDigest(client);
  await client.query("delete from bookpost.books where id = $1", [book.bookId]);
  expect(await attempt(client, digest)).toBe("book_gone");
});

testRule(db, "opting out ends a digest that waits", async (client) => {
  const { ann, digest } = await dueDigest(client);
  await client.query("select bookpost.opt_out($1, 'sms')", [ann]);
  expect(await attempt(client, digest)).toBe("opted_out");
});

testRule(db, "a webhook has no cap", async (client) => {
  const { ann, tell } = await annsBook(client, "webhook");
  for (let i = 0; i < 12; i++)
    expect(await attempt(client, await tell("in_transit", await bookFor(client, ann)))).toBe(
      "sent",
    );
});

testRule(
  db,
  "while a way is in trouble its messages wait, spread over a tenth more, and none counts it as its failure",
  async (client) => {
    const { ann, tell } = await annsBook(client);
    await client.query(
      "insert into bookpost_private.routes (route, failure_count, not_before) values ('email', 1, clock_timestamp() + interval '1 hour')",
    );
    const waits: number[] = [];
    for (let i = 0; i < 30; i++) {
      const id = await tell("in_transit", await bookFor(client, ann));
      expect(await attempt(client, id)).toBe("route_held");
      const delivery = await deliveryOf(client, id);
      expect(delivery).toMatchObject({ state: "queued", attempt_count: 0, failure_count: 0 });
      waits.push(delivery.wait);
    }
    expect(Math.min(...waits)).toBeGreaterThan(3_500);
    expect(Math.max(...waits)).toBeLessThanOrEqual(3_960);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(60);
    await configureChannels(client, "sms");
    expect(await attempt(client, await tell("in_transit"))).toBe("sent");
  },
  { "they do not": { function: BEGIN, from: "and r.not_before > v_now;", to: "and false;" } },
);

for (const [channel, hours] of [
  ["email", 96],
  ["sms", 24],
  ["webhook", 120],
] as const)
  testRule(
    db,
    `a message by ${channel} that could not be sent in ${hours} hours is dead`,
    async (client) => {
      const { tell } = await annsBook(client, channel);
      const [young, old] = [await tell("in_transit"), await tell("delivered")];
      await client.query(
        `update bookpost_private.deliveries
         set created_at = clock_timestamp() - make_interval(hours => $2) + case when id = $1 then interval '1 minute' else '-1 minute' end`,
        [young, hours],
      );
      expect(await attempt(client, old)).toBe("too_old");
      expect(await deliveryOf(client, old)).toMatchObject({
        state: "dead",
        reason: "too_old",
        attempt_count: 0,
      });
      // A dead one can be brought back; older news never go out after newer ones.
      expect(await attempt(client, young)).toBe(channel === "webhook" ? "sent" : "superseded");
    },
    {
      "its age is no matter": {
        function: BEGIN,
        from: "if v_delivery.created_at < v_now - v_channel.max_age then",
        to: "if false then",
      },
    },
  );

for (const channel of ["email", "sms", "webhook"] as const)
  testRule(
    db,
    `an attempt by ${channel} that was broken off is made again, counts as a failure, and ${channel === "webhook" ? "is not doubtful" : "is doubtful"}`,
    async (client) => {
      const { tell } = await annsBook(client, channel);
      const id = await tell("in_transit");
      const [first, second] = [await begin(client, id), await begin(client, id)];
      expect([first, second]).toMatchObject([
        { verdict: "send", attempt: 1 },
        { verdict: "send", attempt: 2 },
      ]);
      expect((second as { message: Message }).message.id).toBe(id);
      expect(await deliveryOf(client, id)).toMatchObject({
        state: "sending",
        failure_count: 1,
        is_doubtful: channel !== "webhook",
        last_error: expect.stringContaining("death"),
      });
      // The first one's worker lives after all: what it tells changes nothing.
      expect(await endDelivery(client, id, 1, { outcome: "refused" })).toBe(null);
      expect(await endDelivery(client, id, 2, { outcome: "sent" })).toBe("sent");
    },
    {
      "it is forgotten": {
        function: BEGIN,
        from: "set state = 'queued', failure_count = d.failure_count + 1, is_doubtful = d.channel <> 'webhook',",
        to: "set state = 'queued',",
      },
    },
  );

for (const [channel, most] of [
  ["email", 25],
  ["sms", 25],
  ["webhook", 10],
] as const)
  testRule(
    db,
    `a message by ${channel} that brings down its worker ${most} times is dead`,
    async (client) => {
      const { tell } = await annsBook(client, channel);
      const id = await tell("in_transit");
      for (let i = 1; i <= most; i++)
        expect(await begin(client, id)).toMatchObject({ verdict: "send", attempt: i });
      expect(await begin(client, id)).toMatchObject({ verdict: "ended", reason: "attempts_spent" });
      expect(await deliveryOf(client, id)).toMatchObject({
        state: "dead",
        reason: "attempts_spent",
      });
    },
  );
