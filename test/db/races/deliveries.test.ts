import type pg from "pg";
import { expect, test } from "vitest";
import type { Message } from "../../../src/notifications/message.ts";
import { endDelivery } from "../../../src/sql/endDelivery.ts";
import { openClient, openClients } from "../../helpers/openClient.ts";
import {
  ageMessages,
  attempt,
  begin,
  bookFor,
  configureChannels,
  deliveriesTo,
  deliveryOf,
  makeRecipient,
} from "../../helpers/recipients.ts";
import { sabotage } from "../../helpers/sabotage.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { untilItWaits } from "../../helpers/untilItWaits.ts";

const db = testDatabase();

/** Ann, so many text messages to her sent in this hour, and so many that wait. */
async function texts(sent: number, waiting: number) {
  const client = await openClient(db.url);
  await configureChannels(client, "sms");
  const ann = await makeRecipient(client);
  const another = async (title: string) =>
    (await (await bookFor(client, ann, { title })).tell("in_transit"))[0]?.id ?? "";
  for (let i = 0; i < sent; i++) expect(await attempt(client, await another("Sent"))).toBe("sent");
  const ids: string[] = [];
  for (let i = 0; i < waiting; i++) ids.push(await another(`Waiting ${i}`));
  return { client, ann, ids, another };
}

/** `first` begins its message and has not committed yet when `second` begins its own, and waits for it. */
async function beginBoth(firstId: string, secondId: string) {
  const [first, second] = (await openClients(db.url, 2)) as [pg.Client, pg.Client];
  await first.query("begin");
  const one = await begin(first, firstId);
  const other = begin(second, secondId);
  await untilItWaits(db.pool, second, other);
  await first.query("commit");
  return [one, await other] as const;
}

const titlesOf = (order: unknown) =>
  (order as { message: Message }).message.news.map(({ book }) => book.title);

test("of two sessions that begin one message at once, one waits for the other, and only one can tell its end", async () => {
  const { client, ids } = await texts(0, 1);
  const [id = ""] = ids;
  const orders = await beginBoth(id, id);
  // It cannot know that the first one lives; whichever ends, the message has one end.
  expect(orders).toMatchObject([
    { verdict: "send", attempt: 1 },
    { verdict: "send", attempt: 2 },
  ]);
  const ends = await Promise.all(
    [1, 2].map((n) => endDelivery(db.pool, id, n, { outcome: "sent" })),
  );
  expect(ends).toEqual([null, "sent"]);
  expect(await deliveryOf(client, id)).toMatchObject({ state: "sent", is_doubtful: true });
});

test("of two sessions that tell the end of one attempt at once, one is heard", async () => {
  const { client, ids } = await texts(0, 1);
  const [id = ""] = ids;
  await begin(client, id);
  const [first, second] = (await openClients(db.url, 2)) as [pg.Client, pg.Client];
  await first.query("begin");
  expect(await endDelivery(first, id, 1, { outcome: "refused" })).toBe("dead");
  const late = endDelivery(second, id, 1, { outcome: "sent" });
  await untilItWaits(db.pool, second, late);
  await first.query("commit");
  expect(await late).toBe(null);
  expect(await deliveryOf(client, id)).toMatchObject({ state: "dead", failure_count: 1 });
});

test("of two news at once where there is room for one, one is sent and one is folded", async () => {
  const { ids } = await texts(2, 2);
  const [first = "", second = ""] = ids;
  expect(await beginBoth(first, second)).toMatchObject([
    { verdict: "send" },
    { verdict: "ended", reason: "folded" },
  ]);
});

test("of many news at once, as many are sent as there is room for, and one digest tells the rest", async () => {
  const { client, ann, ids } = await texts(1, 12);
  const clients = await openClients(db.url, ids.length);
  const orders = await Promise.all(clients.map((one, i) => begin(one, ids[i] ?? "")));
  const verdicts = orders.map((order) => (order.verdict === "send" ? "send" : order.reason));
  expect(verdicts.filter((v) => v === "send")).toHaveLength(2);
  expect(verdicts.filter((v) => v === "folded")).toHaveLength(10);
  const digests = (await deliveriesTo(client, ann)).filter(({ kind }) => kind === "digest");
  expect(digests).toHaveLength(1);
});

test("without the lock on person and channel the two would both be sent: the tests above are no idle ones", async () => {
  const { ids } = await texts(2, 2);
  const [a = "", b = ""] = ids;
  const mend = await sabotage(db.pool, [
    {
      function: "bookpost_private.begin_delivery",
      from: "perform pg_catalog.pg_advisory_xact_lock(",
      to: "perform (",
    },
  ]);
  try {
    const [first, second] = (await openClients(db.url, 2)) as [pg.Client, pg.Client];
    await first.query("begin");
    expect(await begin(first, a)).toMatchObject({ verdict: "send" });
    expect(await begin(second, b)).toMatchObject({ verdict: "send" });
    await first.query("commit");
  } finally {
    await mend();
  }
});

/** A digest of one message that is due, and news that are as well. */
async function dueDigest() {
  const { client, ann, ids, another } = await texts(3, 1);
  expect(await attempt(client, ids[0] ?? "")).toBe("folded");
  await ageMessages(client, "61 minutes");
  const news = await another("News");
  const digest = (await deliveriesTo(client, ann)).find(({ kind }) => kind === "digest")?.id ?? "";
  return { client, digest, news };
}

test("news that fold into a digest as it is begun are told in it", async () => {
  const { digest, news } = await dueDigest();
  const [folded, order] = await beginBoth(news, digest);
  expect(folded).toMatchObject({ verdict: "ended", reason: "folded" });
  expect(titlesOf(order)).toEqual(["News", "Waiting 0"]);
});

test("news that come as the digest goes out are sent by themselves, and none are lost between the two", async () => {
  const { client, digest, news } = await dueDigest();
  const [order, single] = await beginBoth(digest, news);
  expect(titlesOf(order)).toEqual(["Waiting 0"]);
  expect(titlesOf(single)).toEqual(["News"]);
  expect(await deliveryOf(client, news)).toMatchObject({ state: "sending", digest_id: null });
});

test("whoever opts out while her message is begun gets that one and no other", async () => {
  const { client, ann, ids } = await texts(0, 2);
  const [first, second] = (await openClients(db.url, 2)) as [pg.Client, pg.Client];
  await first.query("begin");
  expect(await begin(first, ids[0] ?? "")).toMatchObject({ verdict: "send" });
  await second.query("select bookpost.opt_out($1, 'sms')", [ann]);
  await first.query("commit");
  expect(await attempt(client, ids[1] ?? "")).toBe("opted_out");
});

test("deleting a person while her message is begun waits for it, and then takes it along; its end finds nothing", async () => {
  const { ann, ids } = await texts(0, 1);
  const [first, second] = (await openClients(db.url, 2)) as [pg.Client, pg.Client];
  await first.query("begin");
  expect(await begin(first, ids[0] ?? "")).toMatchObject({ verdict: "send" });
  const deleted = second.query("delete from bookpost.users where id = $1", [ann]);
  await untilItWaits(db.pool, second, deleted);
  await first.query("commit");
  await deleted;
  expect(await endDelivery(db.pool, ids[0] ?? "", 1, { outcome: "sent" })).toBe(null);
  expect(await begin(db.pool, ids[0] ?? "")).toMatchObject({ verdict: "ended", reason: "gone" });
});
