import type { ClientBase } from "pg";
import { expect } from "vitest";
import { ago } from "../../../helpers/ago.ts";
import { asMember } from "../../../helpers/asMember.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { makeUser } from "../../../helpers/makeUser.ts";
import { one } from "../../../helpers/one.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

// What one owner says of a parcel that others wait for too.

const db = testDatabase();

async function common(client: ClientBase) {
  const api = await makeApi(client);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const hers = await trackBook(client, api.code, { owner: ann, title: "Hers" });
  const second = await trackBook(client, api.code, {
    owner: ann,
    number: hers.number,
    title: "Her second",
  });
  const his = await trackBook(client, api.code, { owner: ben, number: hers.number });
  await lookUp(client, hers.parcelId, (id) => found(id, { events: [scan(ago(1), "in_transit")] }));
  const mark = (status: string) =>
    asMember(client, ann, () =>
      client.query("select bookpost.mark_book($1, $2, 'because')", [hers.bookId, status]),
    );
  const everything = async () => ({
    parcel: await one(client, "select to_jsonb(p) as row from bookpost.parcels p where id = $1", [
      hers.parcelId,
    ]),
    check: await one(
      client,
      "select to_jsonb(c) as row from bookpost_private.checks c where parcel_id = $1",
      [hers.parcelId],
    ),
    scans: await one(
      client,
      "select count(*)::int from bookpost.tracking_events where parcel_id = $1",
      [hers.parcelId],
    ),
    told: await one(client, "select count(*)::int from bookpost.notifications where user_id = $1", [
      ben,
    ]),
  });
  const present = async (bookId: string) =>
    one<{ id: string; status: string; closed_reason: string | null; scans: number }>(
      client,
      `select p.id, p.status, p.closed_reason,
         (select count(*)::int from bookpost.tracking_events e where e.parcel_id = p.id) as scans
       from bookpost.parcels p where p.id = bookpost_private.current_parcel($1)`,
      [bookId],
    );
  return { ann, ben, hers: { ...hers, carrier: api.code }, second, his, mark, everything, present };
}

testRule(
  db,
  "her word changes nothing of the common parcel, and he is not told; her own copy has all its scans and her word",
  async (client) => {
    const { hers, his, second, mark, everything, present } = await common(client);
    const before = await everything();
    await mark("delivered");
    expect(await everything()).toEqual(before);
    expect(await present(his.bookId)).toMatchObject({ id: hers.parcelId, status: "in_transit" });
    const own = await present(hers.bookId);
    expect(own).toEqual({
      id: expect.not.stringMatching(hers.parcelId),
      status: "delivered",
      closed_reason: "delivered",
      scans: 2,
    });
    // All her books in it: it is one parcel.
    expect(await present(second.bookId)).toEqual(own);
  },
  {
    "nobody asks who else waits": {
      function: "bookpost.mark_book",
      from: "if not v_is_for_all",
      to: "if false",
    },
    "his books go along": {
      function: "bookpost_private.part_from_others",
      from: "and pb.owner_id = part_from_others.owner",
      to: "",
    },
    "the scans stay behind": {
      function: "bookpost_private.part_from_others",
      from: "copy_rows('bookpost.tracking_events', 'parcel_id', part_from_others.parcel_id",
      to: "copy_rows('bookpost.tracking_events', 'parcel_id', null",
    },
  },
);

testRule(
  db,
  "she is told of her own word once, as of any stage",
  async (client) => {
    const { ann, mark } = await common(client);
    const told = () =>
      client
        .query(
          "select book_id, status, detail from bookpost.notifications where user_id = $1 and status = 'delivered'",
          [ann],
        )
        .then(({ rows }) => rows.map(({ detail }) => detail));
    await mark("delivered");
    expect(await told()).toEqual(["because", "because"]);
  },
  {
    "her books do not follow": {
      function: "bookpost_private.part_from_others",
      from: "from parted p",
      to: "from parted p where false",
    },
  },
);

testRule(
  db,
  "who has stopped still sees the parcel, so her word stays hers",
  async (client) => {
    const { hers, his, mark, present } = await common(client);
    await client.query("select bookpost.stop_tracking($1)", [his.bookId]);
    await mark("lost");
    expect(await present(his.bookId)).toMatchObject({ id: hers.parcelId, status: "in_transit" });
    expect(await present(hers.bookId)).toMatchObject({ status: "exception", scans: 2 });
  },
  {
    "only who waits is asked for": {
      function: "bookpost.mark_book",
      from: "pb.owner_id <> v_book.owner_id)",
      to: "pb.owner_id <> v_book.owner_id and pb.stopped_at is null)",
    },
  },
);

testRule(
  db,
  "once nobody else waits, the day she says is the parcel's",
  async (client) => {
    const { ann, hers, his } = await common(client);
    const sentOn = () =>
      one(client, "select sent_on::text from bookpost.parcels where id = $1", [hers.parcelId]);
    const say = () =>
      asMember(client, ann, () =>
        client.query("select bookpost.track_book('Hers', $1, $2, sent_on => '2026-01-02')", [
          hers.carrier,
          hers.number,
        ]),
      );
    await say();
    expect(await sentOn()).toEqual({ sent_on: null });
    await client.query("select bookpost.stop_tracking($1)", [his.bookId]);
    await say();
    expect(await sentOn()).toEqual({ sent_on: "2026-01-02" });
  },
  {
    "who has stopped counts as waiting": {
      function: "bookpost_private.is_shared",
      from: "(pb.stopped_at IS NULL)",
      to: "true",
    },
  },
);
