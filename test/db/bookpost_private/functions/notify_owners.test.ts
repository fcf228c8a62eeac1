import type { ClientBase } from "pg";
import { expect } from "vitest";
import { ago } from "../../../helpers/ago.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const NOTIFY = "bookpost_private.notify_owners";
const RECORD = "bookpost_private.record_lookups";
const STALE = "where not (t.is_first and ";

type Told = Partial<Parameters<typeof found>[1]>;

interface Notification {
  readonly user_id: string;
  readonly book_id: string;
  readonly kind: string;
  readonly status: string;
  readonly detail: string | null;
  readonly location: string | null;
  readonly occurred_at: Date | null;
  readonly local_time: string | null;
  readonly time_zone: string | null;
  readonly is_date_only: boolean;
  readonly is_action_required: boolean;
  readonly estimated_until: string | null;
}

/** Ann's book in a parcel; `look` is an answer of its carrier, `news` what was written since it was asked last. */
async function oneBook(client: ClientBase) {
  const api = await makeApi(client);
  const ann = await makeUser(client);
  const hers = await trackBook(client, api.code, { owner: ann, appBookId: "b1" });
  const look = (told: Told = {}) => lookUp(client, hers.parcelId, (id) => found(id, told));
  const seen = new Set<string>();
  const news = async () => {
    const { rows } = await client.query<Notification & { id: string }>(
      `select *, local_time::text as local_time, estimated_until::text as estimated_until
       from bookpost.notifications order by status_version, notice_version, user_id, book_id`,
    );
    const fresh = rows.filter(({ id }) => !seen.has(id));
    for (const { id } of rows) seen.add(id);
    return fresh;
  };
  const kinds = async () => (await news()).map(({ kind, status }) => `${kind} ${status}`);
  const join = (title = "A book", owner = ann) =>
    trackBook(client, api.code, { owner, number: hers.number, title });
  /** As an app does: the same book by its id. */
  const beginAgain = () =>
    trackBook(client, api.code, { owner: ann, number: hers.number, appBookId: "b1" });
  return { ann, hers, look, news, kinds, join, beginAgain };
}

const travelled = (hours: number) => ({
  events: [
    scan(ago(hours + 48), "pre_transit"),
    scan(ago(hours + 24), "in_transit"),
    scan(ago(hours), "out_for_delivery"),
  ],
});

testRule(
  db,
  "of what an old parcel has been through, only its present stage is told",
  async (client) => {
    const { look, kinds } = await oneBook(client);
    await look(travelled(1));
    expect(await kinds()).toEqual(["stage out_for_delivery"]);
  },
);

for (const [hours, count] of [
  [71, 1],
  [73, 0],
] as const)
  testRule(
    db,
    `a parcel whose newest scan is ${hours} hours old when it is first looked at is told ${count} times, also in the app`,
    async (client) => {
      const { look, news, kinds } = await oneBook(client);
      await look(travelled(hours));
      expect(await news()).toHaveLength(count);
      await look({ events: [scan(ago(0.1), "delivered")] });
      expect(await kinds()).toEqual(["stage delivered"]);
    },
    count === 0
      ? { "old news are told": { function: NOTIFY, from: STALE, to: "where not (false and " } }
      : {},
  );

testRule(
  db,
  "a stage that is learnt late is told all the same to whoever follows the parcel already",
  async (client) => {
    const { look, kinds } = await oneBook(client);
    await look(travelled(100));
    await look({ events: [scan(ago(80), "delivered")] });
    expect(await kinds()).toEqual(["stage delivered"]);
  },
  { "it is held to be old news": { function: NOTIFY, from: STALE, to: "where not (true and " } },
);

testRule(
  db,
  "who joins later is told the present stage at the next answer, though nothing is new, and the first is not told again",
  async (client) => {
    const { ann, look, news, join } = await oneBook(client);
    await look(travelled(1));
    expect((await news()).map((n) => n.user_id)).toEqual([ann]);
    const ben = await makeUser(client);
    await join("His", ben);
    expect(await news()).toEqual([]);
    await look(travelled(1));
    expect(await news()).toMatchObject([{ user_id: ben, status: "out_for_delivery" }]);
    await look(travelled(1));
    expect(await news()).toEqual([]);
  },
  {
    "an answer is not told to new owners": {
      function: NOTIFY,
      from: "|| answered_ids",
      to: "",
    },
  },
);

testRule(
  db,
  "a second book of hers in the same parcel is told of at the next answer, alone",
  async (client) => {
    const { look, news, join } = await oneBook(client);
    await look(travelled(1));
    await news();
    const { bookId } = await join("Another");
    await look(travelled(1));
    expect(await news()).toMatchObject([{ book_id: bookId, status: "out_for_delivery" }]);
  },
);

testRule(
  db,
  "who stops and begins again is told the stage only if she was not told it before",
  async (client) => {
    const { look, kinds, hers, join, beginAgain } = await oneBook(client);
    await join("It keeps the parcel going", await makeUser(client));
    await look({ events: [scan(ago(9), "in_transit")] });
    await kinds();
    const stop = () => client.query("select bookpost.stop_tracking($1)", [hers.bookId]);
    await stop();
    await beginAgain();
    await look({ events: [scan(ago(9), "in_transit")] });
    expect(await kinds()).toEqual([]);
    await stop();
    await look({ events: [scan(ago(8), "out_for_delivery")] });
    // The other owner.
    expect(await kinds()).toEqual(["stage out_for_delivery"]);
    await beginAgain();
    await look({ events: [scan(ago(8), "out_for_delivery")] });
    expect(await kinds()).toEqual(["stage out_for_delivery"]);
  },
  {
    "beginning again counts for nothing": {
      function: "bookpost_private.put_in_parcel",
      from: "first_synced_at = case when pb.stopped_at is null then pb.first_synced_at end",
      to: "first_synced_at = pb.first_synced_at",
    },
  },
);

const CALLED = {
  is_action_required: true,
  description: "Pay the duty",
  reason_code: "customs_payment",
};

testRule(
  db,
  "that the carrier waits for the recipient is told once, and again when it was over in between",
  async (client) => {
    const { look, kinds, news } = await oneBook(client);
    await look({ events: [scan(ago(9), "in_transit")] });
    await news();
    await look({ events: [scan(ago(8), "in_transit", CALLED)] });
    expect(await news()).toMatchObject([
      {
        kind: "action_required",
        status: "in_transit",
        is_action_required: true,
        detail: "Pay the duty",
      },
    ]);
    await look({ events: [scan(ago(7), "in_transit", { ...CALLED, location: "Dover" })] });
    expect(await kinds()).toEqual([]);
    await look({ events: [scan(ago(6), "in_transit")] });
    expect(await kinds()).toEqual([]);
    await look({ events: [scan(ago(5), "in_transit", CALLED)] });
    expect(await kinds()).toEqual(["action_required in_transit"]);
  },
  {
    "a call counts as no notice": {
      function: RECORD,
      from: "+ ((t.is_action_required and not p.is_action_required) or ",
      to: "+ (",
    },
    "it is told at every look": {
      function: RECORD,
      from: "p.is_action_required and not t.was_action_required as is_called",
      to: "p.is_action_required and t.was_action_required as is_called",
    },
  },
);

testRule(db, "a stage that calls for action is one notification", async (client) => {
  const { look, news } = await oneBook(client);
  await look({ events: [scan(ago(9), "in_transit")] });
  await news();
  await look({ events: [scan(ago(8), "exception", CALLED)] });
  expect(await news()).toMatchObject([
    { kind: "stage", status: "exception", is_action_required: true },
  ]);
});

const due = (time: string, events = [scan("2026-01-01T00:00:00Z", "in_transit")]) => ({
  estimated_from: time,
  estimated_until: time,
  estimated_time_zone: "Europe/London",
  events,
});

/** A parcel on its way, told of as due on the 10th at noon. */
async function expected(client: ClientBase) {
  const { look, ...rest } = await oneBook(client);
  const events = [scan(ago(9), "in_transit")];
  await look(due("2036-12-10T12:00:00", events));
  expect(await rest.kinds()).toEqual(["stage in_transit"]);
  return { ...rest, look, at: (time: string) => look(due(time, events)), events };
}

const MOVED = "bookpost_private.has_estimate_moved";

testRule(
  db,
  "an estimate that moves by a day or more, either way, is told; one that moves by less is not",
  async (client) => {
    const { at, news, kinds } = await expected(client);
    await at("2036-12-11T11:59:00");
    expect(await kinds()).toEqual([]);
    await at("2036-12-11T12:00:00");
    expect(await news()).toMatchObject([
      { kind: "estimate", status: "in_transit", estimated_until: "2036-12-11 12:00:00" },
    ]);
    await at("2036-12-10T12:01:00");
    expect(await kinds()).toEqual([]);
    await at("2036-12-10T12:00:00");
    expect(await kinds()).toEqual(["estimate in_transit"]);
  },
  {
    "a later day alone counts": {
      function: MOVED,
      from: "OR ((told - estimate) >= '1 day'::interval)",
      to: "",
    },
    "it takes two days": {
      function: MOVED,
      from: "(estimate - told) >= '1 day'::interval",
      to: "(estimate - told) >= '2 days'::interval",
    },
  },
);

testRule(
  db,
  "moves of less than a day add up from what was told last, and there and back is no news",
  async (client) => {
    const { at, kinds } = await expected(client);
    for (const time of ["2036-12-11T00:00:00", "2036-12-10T12:00:00", "2036-12-11T00:00:00"]) {
      await at(time);
      expect(await kinds()).toEqual([]);
    }
    await at("2036-12-11T13:00:00");
    expect(await kinds()).toEqual(["estimate in_transit"]);
    await at("2036-12-12T00:00:00");
    expect(await kinds()).toEqual([]);
  },
  {
    "it is measured from the last look": {
      function: RECORD,
      from: "else p.told_estimated_until",
      to: "else coalesce(t.estimated_until, p.told_estimated_until)",
    },
    "what was told is not kept": {
      function: RECORD,
      from: "or bookpost_private.has_estimate_moved(p.told_estimated_until, t.estimated_until)\n          then",
      to: "then",
    },
  },
);

testRule(
  db,
  "an estimate that is given for the first time, or no more, is no news",
  async (client) => {
    const { look, kinds } = await oneBook(client);
    const events = [scan(ago(9), "in_transit")];
    await look({ events });
    await kinds();
    await look(due("2036-12-10T12:00:00", events));
    await look({ events });
    expect(await kinds()).toEqual([]);
  },
);

testRule(
  db,
  "a new stage with a new estimate is one notification, and the next move is measured from it",
  async (client) => {
    const { look, news, kinds } = await expected(client);
    const events = [scan(ago(8), "out_for_delivery")];
    await look(due("2036-12-14T12:00:00", events));
    expect(await news()).toMatchObject([{ kind: "stage", estimated_until: "2036-12-14 12:00:00" }]);
    await look(due("2036-12-14T18:00:00", events));
    expect(await kinds()).toEqual([]);
    await look(due("2036-12-16T12:00:00", events));
    expect(await kinds()).toEqual(["estimate out_for_delivery"]);
  },
);

testRule(
  db,
  "what is less than a day off when a stage is told counts as told",
  async (client) => {
    const { look, kinds } = await expected(client);
    const events = [scan(ago(8), "out_for_delivery")];
    await look(due("2036-12-11T06:00:00", events));
    expect(await kinds()).toEqual(["stage out_for_delivery"]);
    await look(due("2036-12-11T18:00:00", events));
    expect(await kinds()).toEqual([]);
  },
  {
    "the stage's estimate is forgotten": {
      function: RECORD,
      from: "or p.status <> t.new_status\n          or",
      to: "or",
    },
  },
);

testRule(
  db,
  "when a book that has arrived was expected is told to nobody",
  async (client) => {
    const { look, kinds } = await expected(client);
    const events = [scan(ago(1), "delivered")];
    await look(due("2036-12-10T12:00:00", events));
    await kinds();
    await look(due("2036-12-20T12:00:00", events));
    expect(await kinds()).toEqual([]);
  },
  {
    "it is told": {
      function: NOTIFY,
      from: "('delivered', 'return_to_sender', 'cancelled')",
      to: "('cancelled')",
    },
  },
);

testRule(
  db,
  "who joins as the estimate moves is told the stage, and whoever was there the estimate",
  async (client) => {
    const { at, ann, news, join } = await expected(client);
    const ben = await makeUser(client);
    await join("His", ben);
    await at("2036-12-14T12:00:00");
    const rows = await news();
    expect(Object.fromEntries(rows.map((n) => [n.user_id, n.kind]))).toEqual({
      [ann]: "estimate",
      [ben]: "stage",
    });
  },
);

testRule(
  db,
  "place, time and words are those of the scan that made the stage, though a newer one tells none",
  async (client) => {
    const { look, news } = await oneBook(client);
    await look({
      raw_text: "The whole parcel",
      events: [
        scan(ago(5), "in_transit", {
          description: "Departed",
          location: "Dover",
          local_time: "2026-11-20T10:00:00",
          time_zone: "Europe/London",
        }),
        scan(ago(4), null, { description: "A note", location: "Nowhere" }),
      ],
    });
    const [notification] = await news();
    expect(notification).toMatchObject({
      detail: "Departed",
      location: "Dover",
      local_time: "2026-11-20 10:00:00",
      time_zone: "Europe/London",
      is_date_only: false,
    });
    expect(notification?.occurred_at).not.toBe(null);
  },
  {
    "the newest is taken": {
      function: "bookpost_private.telling_scan",
      from: "COALESCE((e.status = telling_scan.status), false) DESC, ",
      to: "",
    },
  },
);

testRule(
  db,
  "where no scan has words, the parcel's own are told, 500 characters of them",
  async (client) => {
    const { look, news } = await oneBook(client);
    await look({ raw_text: "é".repeat(600), events: [scan(ago(5), "in_transit")] });
    expect((await news())[0]?.detail).toBe("é".repeat(500));
  },
);

testRule(db, "what a person marks is told, with the reason she gave", async (client) => {
  const { hers, look, news } = await oneBook(client);
  await look({ events: [scan(ago(5), "in_transit")] });
  await news();
  await client.query("select bookpost.mark_book($1, 'delivered', 'It lay at the door')", [
    hers.bookId,
  ]);
  expect(await news()).toMatchObject([
    { kind: "stage", status: "delivered", detail: "It lay at the door" },
  ]);
});
