import { expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { failJobForGood } from "../../../helpers/jobsOf.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { failed, found, scan } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function oneParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const { parcelId } = await trackBook(client, api.code);
  return {
    client,
    api,
    parcelId,
    end: (outcome: string) => lookUp(client, parcelId, (id) => failed(id, outcome), api.workerId),
    /** So long has been tracked, and nothing heard. */
    age: (by: string) =>
      client.query(
        `with p as (update bookpost.parcels set created_at = created_at - $2::interval where id = $1)
         update bookpost_private.checks set last_changed_at = last_changed_at - $2::interval where parcel_id = $1`,
        [parcelId, by],
      ),
    listed: async () =>
      (await client.query("select kind, parcel_id, api_code from bookpost_ops.needs_person")).rows,
    why: async () =>
      (
        await client.query<{ reason: string; needs_person: boolean }>(
          "select reason, needs_person from bookpost_ops.why where parcel_id = $1",
          [parcelId],
        )
      ).rows[0],
  };
}

test("a number unknown for 30 days is listed, and goes on being looked up", async () => {
  const { parcelId, api, end, age, listed, why } = await oneParcel();
  await end("not_found");
  await age("29 days 23 hours");
  expect(await listed()).toEqual([]);
  expect(await why()).toEqual({ reason: "scheduled", needs_person: false });
  await age("2 hours");
  expect(await listed()).toEqual([{ kind: "not_found", parcel_id: parcelId, api_code: api.code }]);
  expect(await why()).toEqual({ reason: "scheduled", needs_person: true });
});

test("a scan more than a day ahead of us is listed, one within a day is not", async () => {
  const { client, api, parcelId, listed } = await oneParcel();
  const tell = (hoursAgo: number) =>
    lookUp(client, parcelId, (id) =>
      found(id, { digest: String(hoursAgo), events: [scan(ago(hoursAgo), "in_transit")] }),
    );
  await tell(-23.9);
  expect(await listed()).toEqual([]);
  await tell(-24.1);
  expect(await listed()).toEqual([
    { kind: "future_scan", parcel_id: parcelId, api_code: api.code },
  ]);
});

test("a parcel that was known and is forgotten counts from its last news", async () => {
  const { client, parcelId, end, age, listed } = await oneParcel();
  await lookUp(client, parcelId, (id) => found(id, { status: "in_transit" }));
  await age("20 days");
  await end("not_found");
  expect(await listed()).toEqual([]);
  await age("11 days");
  expect(await listed()).toHaveLength(1);
});

test("a known number is not listed, however silent it is", async () => {
  const { client, parcelId, age, listed } = await oneParcel();
  await lookUp(client, parcelId, (id) => found(id, { status: "in_transit" }));
  await age("90 days");
  expect(await listed()).toEqual([]);
});

test.each(["malformed", "rejected"])("what was %s is listed at once", async (outcome) => {
  const { parcelId, end, listed } = await oneParcel();
  await end(outcome);
  expect(await listed()).toMatchObject([{ kind: outcome, parcel_id: parcelId }]);
});

test.each(["unavailable", "rate_limited", "local", "out_of_quota"])(
  "%s comes right by itself",
  async (outcome) => {
    const { end, age, listed } = await oneParcel();
    await end(outcome);
    await age("60 days");
    expect(await listed()).toEqual([]);
  },
);

test("a parcel set aside and an API that refused our credentials are listed", async () => {
  const { client, api, parcelId, listed } = await oneParcel();
  const other = await trackBook(client, api.code);
  await lookUp(
    client,
    other.parcelId,
    (id) => failed(id, "rejected", { is_api_wide: true }),
    api.workerId,
  );
  await failJobForGood(client, parcelId);
  await dispatch(client);
  const rows = await listed();
  expect(rows).toContainEqual({ kind: "quarantined", parcel_id: parcelId, api_code: api.code });
  expect(rows).toContainEqual({ kind: "parked", parcel_id: null, api_code: api.code });
});

test.each([
  ["25 hours", 25, 1],
  ["23 hours", 23, 0],
])(
  "a scan %s from now is a carrier's mistake, or a clock far east of here",
  async (_, hours, count) => {
    const { client, parcelId, listed } = await oneParcel();
    const events = [scan(ago(-hours), "delivered")];
    await lookUp(client, parcelId, (id) => found(id, { events }));
    expect(await listed()).toHaveLength(count);
  },
);

test("a closed parcel needs nobody", async () => {
  const { client, parcelId, end, listed } = await oneParcel();
  await end("malformed");
  await client.query("select bookpost_private.close_parcel($1, 'stopped')", [parcelId]);
  expect(await listed()).toEqual([]);
});
