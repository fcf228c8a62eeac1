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

// What a member has said of a parcel before another joined it.

const db = testDatabase();

async function marked(client: ClientBase) {
  const api = await makeApi(client);
  const [ann, ben] = [await makeUser(client), await makeUser(client)];
  const hers = await trackBook(client, api.code, { owner: ann, title: "Hers" });
  await lookUp(client, hers.parcelId, (id) => found(id, { events: [scan(ago(1), "in_transit")] }));
  const mark = () =>
    asMember(client, ann, () =>
      client.query("select bookpost.mark_book($1, 'lost', 'because')", [hers.bookId]),
    );
  await mark();
  const join = (owner: string, title: string) =>
    trackBook(client, api.code, { owner, title, number: hers.number });
  const present = async (bookId: string) =>
    one<{ id: string; status: string; by_hand: number; scans: number }>(
      client,
      `select p.id, p.status, p.closed_reason,
         (select count(*)::int from bookpost.tracking_events e where e.parcel_id = p.id) as scans,
         (select count(*)::int from bookpost.tracking_events e where e.parcel_id = p.id and e.raw_code = 'by_hand') as by_hand
       from bookpost.parcels p where p.id = bookpost_private.current_parcel($1)`,
      [bookId],
    );
  return { ann, ben, hers, join, mark, present };
}

testRule(
  db,
  "he finds the carrier's scans and nothing of her word; she has both, in a closed copy of her own",
  async (client) => {
    const { ben, hers, join, present } = await marked(client);
    const his = await join(ben, "His");
    expect(await present(his.bookId)).toEqual({
      id: hers.parcelId,
      status: "in_transit",
      closed_reason: null,
      scans: 1,
      by_hand: 0,
    });
    expect(await present(hers.bookId)).toEqual({
      id: expect.not.stringMatching(hers.parcelId),
      status: "exception",
      closed_reason: "stopped",
      scans: 2,
      by_hand: 1,
    });
    const told = "select count(*)::int from bookpost.notifications where user_id = $1";
    expect(await one(client, told, [ben])).toEqual({ count: 0 });
  },
  {
    "nobody asks before he joins": {
      function: "bookpost_private.put_in_parcel",
      from: "perform bookpost_private.part_from_newcomer(put_in_parcel.parcel_id, book.owner_id);",
      to: "",
    },
    "her word does not name her": {
      function: "bookpost.mark_book",
      from: "case when v_is_for_all then '' else v_book.owner_id || ':' end",
      to: "''",
    },
    "her scan stays": {
      function: "bookpost_private.part_from_newcomer",
      from: "delete from bookpost.tracking_events e\n  where",
      to: "delete from bookpost.tracking_events e\n  where false and",
    },
    "the status stays": {
      function: "bookpost_private.part_from_newcomer",
      from: "perform bookpost_private.refold_parcel(part_from_newcomer.parcel_id);",
      to: "",
    },
    "she stays": {
      function: "bookpost_private.part_from_newcomer",
      from: "and pb.owner_id = any (v_sayers) and pb.stopped_at is null",
      to: "and false",
    },
  },
);

testRule(
  db,
  "another book of her own joins the parcel with her word in it",
  async (client) => {
    const { ann, hers, join, present } = await marked(client);
    const second = await join(ann, "Her second");
    expect(await present(second.bookId)).toMatchObject({ id: hers.parcelId, by_hand: 1 });
    expect(await present(hers.bookId)).toMatchObject({ id: hers.parcelId, by_hand: 1 });
  },
  {
    "she is taken for another": {
      function: "bookpost_private.part_from_newcomer",
      from: " <> part_from_newcomer.newcomer::text",
      to: " is not null",
    },
  },
);

testRule(
  db,
  "her copy, opened again by a refresh, gives up her word as well when he joins it",
  async (client) => {
    const { ben, hers, join, present } = await marked(client);
    const his = await join(ben, "His");
    await client.query("select bookpost.stop_tracking($1)", [his.bookId]);
    await client.query("select bookpost.refresh_book($1)", [hers.bookId]);
    const own = await present(hers.bookId);
    expect(own).toMatchObject({ by_hand: 1, closed_reason: null });
    const again = await join(ben, "His second");
    expect(await present(again.bookId)).toMatchObject({ id: own.id, by_hand: 0 });
  },
);
