import { expect, test } from "vitest";
import type { LookupReport } from "../../../../src/sql/recordLookups.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { checkOf, parcelOf } from "../../../helpers/parcelOf.ts";
import { refusalOf } from "../../../helpers/refusal.ts";
import { found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const HOURS_A_DAY = 24;
const daysAgo = (days: number) => ago(days * HOURS_A_DAY);

const EARLIER_DELIVERY = daysAgo(120);

/** What the carrier tells of the parcel that had the number 120 days ago. */
const EARLIER: Partial<LookupReport> = {
  status: "delivered",
  raw_status: "DL",
  raw_text: "Delivered",
  is_return: true,
  signed_by: "SOMEBODY ELSE",
  tracking_url: "https://example.com/other",
  estimated_from: "2026-01-01",
  estimated_until: "2026-01-02",
  events: [scan(daysAgo(123), "in_transit"), scan(EARLIER_DELIVERY, "delivered")],
};

async function oneParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const tracked = await trackBook(client, api.code, { appBookId: "b-1" });
  const { parcelId } = tracked;
  const rows = async (sql: string) => (await client.query(sql, [parcelId])).rows;
  return {
    client,
    parcelId,
    parcel: () => parcelOf(client, parcelId),
    check: () => checkOf(client, parcelId),
    answer: (told: Partial<LookupReport>) => lookUp(client, parcelId, (id) => found(id, told)),
    /** As an app says it: tracked again, with the day. */
    sayWhenSent: (sentOn: string) =>
      client.query(
        "select bookpost.track_book('A book', $1, $2, app_book_id => 'b-1', sent_on => $3)",
        [api.code, tracked.number, sentOn],
      ),
    told: () =>
      rows(
        "select status from bookpost.notifications where parcel_id = $1 order by status_version",
      ),
    listed: () => rows("select kind, detail from bookpost_ops.needs_person where parcel_id = $1"),
    needsPerson: () => rows("select needs_person from bookpost_ops.why where parcel_id = $1"),
    scans: () =>
      rows(
        `select e.status, bookpost.tracking_events_is_of_earlier_life(e) as earlier
         from bookpost.tracking_events e where e.parcel_id = $1 order by e.sort_at`,
      ),
  };
}

test("a number's earlier delivery delivers nothing, tells nobody and ends no tracking", async () => {
  const { answer, parcel, check, told, scans } = await oneParcel();
  expect(await answer(EARLIER)).toMatchObject({ outcome: "updated", status: "pending" });
  expect(await parcel()).toMatchObject({
    status: "pending",
    status_version: 0,
    raw_status: null,
    delivered_at: null,
    signed_by: null,
    tracking_url: null,
    is_return: false,
    closed_at: null,
  });
  expect(await told()).toEqual([]);
  expect(await scans()).toEqual([
    { status: "in_transit", earlier: true },
    { status: "delivered", earlier: true },
  ]);
  expect((await check()).next_check_at).not.toBeNull();
});

test("it is listed for a person, with what is set aside, until the new life begins", async () => {
  const { answer, listed, needsPerson } = await oneParcel();
  expect(await listed()).toEqual([]);
  await answer(EARLIER);
  expect(await listed()).toEqual([
    {
      kind: "earlier_life",
      detail: `2 scans, the last of ${EARLIER_DELIVERY.slice(0, 10)}, are taken for an earlier parcel's with this number`,
    },
  ]);
  expect(await needsPerson()).toEqual([{ needs_person: true }]);
  await answer({ events: [scan(ago(1), "pre_transit")] });
  expect(await listed()).toEqual([]);
  expect(await needsPerson()).toEqual([{ needs_person: false }]);
});

test.each([
  ["beside the old ones", EARLIER.events ?? []],
  ["without them", []],
])("the first scan of the new life counts at once, %s", async (_, old) => {
  const { answer, parcel, told } = await oneParcel();
  await answer(EARLIER);
  await answer({ events: [...old, scan(ago(1), "in_transit")] });
  expect(await parcel()).toMatchObject({ status: "in_transit", status_version: 1 });
  expect(await told()).toEqual([{ status: "in_transit" }]);
});

test("while scans are set aside, a stage told beside a scan without one is not believed", async () => {
  const { answer, parcel } = await oneParcel();
  await answer({
    ...EARLIER,
    is_return: false,
    events: [...(EARLIER.events ?? []), scan(ago(1), null)],
  });
  expect((await parcel()).status).toBe("unknown");
});

test("a person's mark counts, whatever was set aside", async () => {
  const { client, answer, parcel, parcelId } = await oneParcel();
  await answer(EARLIER);
  await client.query(
    "select bookpost.mark_book(pb.book_id, 'in_transit', 'I saw it') from bookpost.parcel_books pb where pb.parcel_id = $1",
    [parcelId],
  );
  expect((await parcel()).status).toBe("in_transit");
});

test("an old parcel is taken in on purpose: the day it was sent is all that has to be said", async () => {
  const { sayWhenSent, answer, parcel, listed } = await oneParcel();
  await sayWhenSent(daysAgo(125).slice(0, 10));
  await answer({ ...EARLIER, is_return: false });
  expect(await parcel()).toMatchObject({
    status: "delivered",
    delivered_at: new Date(EARLIER_DELIVERY),
    signed_by: "SOMEBODY ELSE",
    closed_reason: "delivered",
  });
  expect(await listed()).toEqual([]);
});

test("said afterwards, the scans that were set aside count at once, and the rest is asked for again", async () => {
  const { sayWhenSent, answer, parcel, check, listed } = await oneParcel();
  const slow = { events: [scan(daysAgo(20), "in_transit")], signed_by: "M.", raw_status: "IT" };
  await answer(slow);
  expect((await parcel()).status).toBe("pending");
  await sayWhenSent(daysAgo(21).slice(0, 10));
  expect((await parcel()).status).toBe("in_transit");
  expect((await check()).digest).toBeNull();
  expect(await listed()).toEqual([]);
  await answer(slow);
  expect(await parcel()).toMatchObject({
    status: "in_transit",
    raw_status: "IT",
    status_version: 1,
  });
});

test("a day said too early is corrected: what counted is set aside again", async () => {
  const { sayWhenSent, answer, parcel } = await oneParcel();
  await sayWhenSent(daysAgo(21).slice(0, 10));
  await answer({ events: [scan(daysAgo(20), "in_transit")] });
  expect((await parcel()).status).toBe("in_transit");
  await sayWhenSent(daysAgo(1).slice(0, 10));
  expect((await parcel()).status).toBe("pending");
});

test("tracked again without a day, the day that was said stays", async () => {
  const { client, parcelId, sayWhenSent } = await oneParcel();
  const day = daysAgo(21).slice(0, 10);
  await sayWhenSent(day);
  await client.query(
    `select bookpost.track_book('A book', p.carrier_code, p.tracking_number, app_book_id => 'b-1')
     from bookpost.parcels p where p.id = $1`,
    [parcelId],
  );
  const { rows } = await client.query("select sent_on::text from bookpost.parcels where id = $1", [
    parcelId,
  ]);
  expect(rows).toEqual([{ sent_on: day }]);
});

test.each(["1969-12-31", "2100-01-01"])("nothing was posted on %s", async (day) => {
  const { sayWhenSent } = await oneParcel();
  expect(await refusalOf(sayWhenSent(day))).toMatchObject({ code: "BP400" });
});
