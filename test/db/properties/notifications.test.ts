import fc from "fast-check";
import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import type { Message, News } from "../../../src/notifications/message.ts";
import { endDelivery } from "../../../src/sql/endDelivery.ts";
import { rolledBack } from "../../helpers/database.ts";
import { lookUp } from "../../helpers/lookUp.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { ageMessages, begin, configureChannels, makeRecipient } from "../../helpers/recipients.ts";
import { failed, found, scan } from "../../helpers/reports.ts";
import { runCount } from "../../helpers/runCount.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";
import { newNumber, trackBook } from "../../helpers/trackBook.ts";

// RUNS: how many histories (60: some 10 seconds).
const RUNS = runCount(15, 60);
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

const db = testDatabase();

/** One thing that happens; people and parcels by number. */
type Event =
  | {
      readonly kind: "look";
      readonly parcel: number;
      readonly status: string | null;
      readonly isCalled: boolean;
      readonly day: number | null;
    }
  | { readonly kind: "join"; readonly person: number; readonly parcel: number }
  | { readonly kind: "stop"; readonly person: number; readonly parcel: number }
  | { readonly kind: "pass"; readonly minutes: number }
  /** Workers take what is due, in this order; what comes of each attempt in turn. */
  | { readonly kind: "work"; readonly order: number; readonly outcomes: readonly string[] };

const which = fc.integer({ min: 0, max: 1 });

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("look" as const),
      parcel: which,
      status: fc.constantFrom(
        "in_transit",
        "in_transit",
        "exception",
        "out_for_delivery",
        "unknown",
        null,
      ),
      isCalled: fc.boolean(),
      day: fc.constantFrom(null, 10, 10, 12, 15),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("join" as const), person: which, parcel: which }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("stop" as const), person: which, parcel: which }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      minutes: fc.constantFrom(1, 10, 25, 31),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("work" as const),
      order: fc.nat(1000),
      // broken: the worker dies in the middle.
      outcomes: fc.array(
        fc.constantFrom("sent", "sent", "sent", "deferred", "unavailable", "local", "broken"),
        { minLength: 1, maxLength: 6 },
      ),
    }),
  },
);

/** An attempt that was handed over, whatever came of it. */
interface Attempt {
  readonly person: string;
  readonly channel: string;
  readonly news: readonly News[];
  readonly outcome: string;
}

async function happen(client: ClientBase, history: readonly Event[]): Promise<void> {
  await configureChannels(client, "email", "sms");
  // Small, so that a short history comes to them.
  await client.query(
    "update bookpost_private.channels set cap_per_hour = 2, max_age = '1000 hours'",
  );
  const api = await makeApi(client);
  // An open circuit would only end the history early.
  await client.query("update bookpost.carrier_apis set failure_threshold = 1000 where code = $1", [
    api.code,
  ]);
  const people = [await makeRecipient(client), await makeRecipient(client)];
  const numbers = [newNumber(), newNumber()];
  // Somebody whose book keeps each parcel going, whom nobody tells by message.
  const parcels: string[] = [];
  for (const number of numbers)
    parcels.push((await trackBook(client, api.code, { number })).parcelId);
  const books = new Map<string, string>();
  const attempts: Attempt[] = [];
  let known = new Set<string>();

  const checkTold = async (parcelId: string) => {
    const { rows: fresh } = await client.query<{
      id: string;
      is_present: boolean;
      is_live: boolean;
    }>(
      `select n.id, n.parcel_id = p.id and n.status_version = p.status_version and n.status = p.status as is_present,
         exists (select from bookpost.parcel_books b where b.book_id = n.book_id and b.parcel_id = p.id
           and b.owner_id = n.user_id and b.stopped_at is null and b.first_synced_at is not null) as is_live
       from bookpost.notifications n, bookpost.parcels p where p.id = $1`,
      [parcelId],
    );
    for (const { id, is_present, is_live } of fresh.filter((n) => !known.has(n.id)))
      expect(
        { id, is_present, is_live },
        "only what is so now is told, to whoever follows it",
      ).toEqual({ id, is_present: true, is_live: true });
    known = new Set(fresh.map(({ id }) => id));
    const { rows: untold } = await client.query(
      `select b.book_id from bookpost.parcel_books b
       join bookpost.parcels p on p.id = b.parcel_id
       join bookpost.parcel_statuses s on s.status = p.status and s.is_told
       where b.stopped_at is null and b.first_synced_at is not null and p.status_version is distinct from (
         select max(n.status_version) from bookpost.notifications n
         where n.book_id = b.book_id and n.parcel_id = p.id and n.kind = 'stage'
       )`,
    );
    expect(untold, "the last stage told is the present one").toEqual([]);
  };

  const work = async (order: number, outcomes: readonly string[]) => {
    const { rows: due } = await client.query<{ id: string }>(
      `select id from bookpost_private.deliveries
       where state = 'sending' or (state = 'queued' and due_at <= clock_timestamp()) order by hashtext(id::text || $1)`,
      [order],
    );
    for (const [i, { id }] of due.entries()) {
      const begun = await begin(client, id);
      if (begun.verdict !== "send") continue;
      const outcome = outcomes[i % outcomes.length] ?? "sent";
      const { person, channel, news } = begun.message as Message;
      attempts.push({ person: person?.id ?? "", channel, news, outcome });
      if (outcome !== "broken") await endDelivery(client, id, begun.attempt, { outcome });
    }
  };

  for (const e of history) {
    const [person = "", parcel = ""] =
      "parcel" in e ? ["person" in e ? people[e.person] : "", parcels[e.parcel]] : [];
    if (e.kind === "look") {
      const at = new Date().toISOString();
      const time = e.day === null ? null : `2036-12-${e.day}T12:00:00`;
      await lookUp(client, parcel, (id) =>
        e.status === null
          ? failed(id, "unavailable", { is_api_wide: false })
          : found(id, {
              events: [scan(at, e.status, { is_action_required: e.isCalled })],
              estimated_from: time,
              estimated_until: time,
            }),
      );
      if (e.status !== null) await checkTold(parcel);
    } else if (e.kind === "join") {
      const { bookId } = await trackBook(client, api.code, {
        owner: person,
        number: numbers[e.parcel] ?? "",
        appBookId: `b${e.parcel}`,
      });
      books.set(person + parcel, bookId);
    } else if (e.kind === "stop") {
      const book = books.get(person + parcel);
      if (book) await client.query("select bookpost.stop_tracking($1)", [book]);
    } else if (e.kind === "pass") await ageMessages(client, `${e.minutes} minutes`);
    else await work(e.order, e.outcomes);
  }

  // All that is under way comes to its end.
  for (let round = 0; round < 40; round++) {
    await ageMessages(client, "31 minutes");
    await work(round, ["sent"]);
  }
  const { rows: open } = await client.query(
    "select d.kind, d.state, d.due_at from bookpost_private.deliveries d join bookpost_private.delivery_states s using (state) where not s.is_final",
  );
  expect(open, "every message comes to an end").toEqual([]);
  const { rows: dead } = await client.query(
    "select * from bookpost_private.deliveries where state = 'dead'",
  );
  expect(dead, "none of these may die").toEqual([]);

  const { rows: crowded } = await client.query(
    `select d.id from bookpost_private.deliveries d join bookpost_private.channels c on c.channel = d.channel
     where d.state = 'sent' and c.cap_per_hour < (
       select count(*) from bookpost_private.deliveries o
       where o.user_id = d.user_id and o.channel = d.channel and o.state = 'sent'
         and o.attempted_at <= d.attempted_at and o.attempted_at > d.attempted_at - interval '1 hour'
     )`,
  );
  expect(crowded, "no one gets more than the cap in an hour").toEqual([]);

  const { rows: notifications } = await client.query<{
    id: string;
    key: string;
    notice_version: number | null;
  }>(
    "select id, user_id || ' ' || book_id || ' ' || parcel_id as key, notice_version from bookpost.notifications",
  );
  const versions = new Map(notifications.map((n) => [n.id, n]));
  const last = new Map<string, { version: number; status: string }>();
  const notices = new Map<string, number>();
  for (const { person, channel, news } of attempts)
    for (const n of news) {
      const notification = versions.get(n.notificationId);
      const key = `${channel} ${notification?.key}`;
      expect(key).toContain(person);
      expect(n.statusVersion, "no older news after newer ones").toBeGreaterThanOrEqual(
        last.get(key)?.version ?? 0,
      );
      if (n.kind !== "stage") {
        const noticeKey = `${key} ${n.kind} ${n.statusVersion}`;
        expect(
          notification?.notice_version,
          "no older notice after a newer one",
        ).toBeGreaterThanOrEqual(notices.get(noticeKey) ?? 0);
        notices.set(noticeKey, notification?.notice_version ?? 0);
      }
      last.set(key, { version: n.statusVersion, status: n.status });
    }

  // Of stages alone: what each has heard last, surely or perhaps, is how it ends.
  const { rows: ends } = await client.query<{ key: string; status: string }>(
    `select distinct on (c.channel, user_id, book_id, parcel_id)
       c.channel || ' ' || user_id || ' ' || book_id || ' ' || parcel_id as key, status
     from bookpost.notifications n, bookpost_private.channels c
     where kind = 'stage' and user_id = any ($1) and c.channel <> 'webhook'
     order by c.channel, user_id, book_id, parcel_id, status_version desc`,
    [people],
  );
  for (const { key, status } of ends) {
    const heard = attempts.flatMap(({ channel, news, outcome }) =>
      news.flatMap((n) =>
        n.kind === "stage" &&
        `${channel} ${versions.get(n.notificationId)?.key}` === key &&
        ["sent", "broken"].includes(outcome)
          ? [{ status: n.status, outcome }]
          : [],
      ),
    );
    // Those broken off at the end may have gone out or not: with each reading the last one tells the stage.
    const surely = heard.findLastIndex(({ outcome }) => outcome === "sent");
    expect(
      new Set(heard.slice(Math.max(surely, 0)).map((h) => h.status)),
      `what was heard last: ${key}`,
    ).toEqual(new Set([status]));
    expect(surely, "it was surely sent").not.toBe(-1);
  }
}

test(
  "whatever the carriers tell, whoever comes and goes and however sending fails: each is told what is so, in order, within the cap, and in the end the last of it",
  async () => {
    const client = await rolledBack(db);
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 40 }), async (history) => {
        await client.query("savepoint history");
        try {
          await happen(client, [{ kind: "join", person: 0, parcel: 0 }, ...history]);
        } finally {
          await client.query("rollback to savepoint history");
        }
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: process.env.SHRINK === undefined },
    );
  },
  // A history takes about half a second; only a hang is to fail.
  60_000 + RUNS * 5_000,
);
