import { describe, expect, test } from "vitest";
import { ago } from "../../../helpers/ago.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { parcelOf } from "../../../helpers/parcelOf.ts";
import { found, scan } from "../../../helpers/reports.ts";
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
    parcel: () => parcelOf(client, parcelId),
    answer: (told: Parameters<typeof found>[1]) =>
      lookUp(client, parcelId, (id) => found(id, told)),
  };
}

describe("delivered", () => {
  test("the time of delivery is the carrier's, not that of the look", async () => {
    const { answer, parcel } = await oneParcel();
    const at = ago(26);
    await answer({ events: [scan(at, "delivered", { time_zone: "-07:00" })] });
    expect(await parcel()).toMatchObject({
      status: "delivered",
      delivered_at: new Date(at),
      delivered_time_zone: "-07:00",
    });
  });

  test("where the carrier gave a wall clock without a zone, no instant is made up", async () => {
    const { answer, parcel } = await oneParcel();
    const at = ago(26).slice(0, 19);
    await answer({
      events: [scan(`${at}Z`, "delivered", { occurred_at: null, local_time: at, time_zone: null })],
    });
    expect(await parcel()).toMatchObject({
      delivered_at: null,
      delivered_local_time: at.replace("T", " "),
      delivered_time_zone: null,
    });
  });

  test("an older scan that comes later does not undo it", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({ events: [scan(ago(3), "delivered")] });
    const before = await parcel();
    await answer({ events: [scan(ago(9), "out_for_delivery")], status: "in_transit" });
    expect(await parcel()).toMatchObject({
      status: "delivered",
      status_version: before.status_version,
      delivered_at: before.delivered_at,
    });
  });

  test("a history that the carrier has forgotten does not undo it", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({ events: [scan(ago(9), "in_transit"), scan(ago(3), "delivered")] });
    await answer({ events: [scan(ago(9), "in_transit")], status: "in_transit" });
    expect((await parcel()).status).toBe("delivered");
    await answer({ events: [], status: null });
    expect((await parcel()).status).toBe("delivered");
  });

  test("a later scan undoes it, and the time of delivery goes with it", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({ events: [scan(ago(3), "delivered")] });
    await answer({ events: [scan(ago(1), "exception")] });
    expect(await parcel()).toMatchObject({
      status: "exception",
      status_version: 2,
      delivered_at: null,
    });
  });

  test("delivered twice, the later delivery is the one", async () => {
    const { answer, parcel } = await oneParcel();
    const last = ago(1);
    await answer({ events: [scan(ago(5), "delivered"), scan(last, "delivered")] });
    expect((await parcel()).delivered_at).toEqual(new Date(last));
  });

  test("on the way back it is returned to the sender, with its time", async () => {
    const { answer, parcel } = await oneParcel();
    const at = ago(2);
    await answer({ events: [scan(at, "delivered")], is_return: true });
    expect(await parcel()).toMatchObject({
      status: "return_to_sender",
      delivered_at: new Date(at),
      closed_reason: "returned",
    });
  });

  test("once a return, always a return, though a later answer does not say so", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({ events: [scan(ago(9), "in_transit")], is_return: true });
    await answer({ events: [scan(ago(8), "in_transit")], is_return: false });
    expect(await parcel()).toMatchObject({ status: "return_to_sender", is_return: true });
  });
});

describe("what tells no stage overwrites nothing", () => {
  test.each(["in_transit", "delivered", "exception", "out_for_delivery"])(
    "%s, told without a scan, stays when the next answer tells nothing",
    async (status) => {
      const { answer, parcel } = await oneParcel();
      await answer({ status });
      expect((await parcel()).status).toBe(status);
      for (const told of [null, "unknown"]) await answer({ status: told, raw_status: `${told}` });
      expect(await parcel()).toMatchObject({ status, status_version: 1 });
    },
  );

  test("a first answer without any stage is unknown, not pending: the carrier has the number", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({ status: null });
    expect((await parcel()).status).toBe("unknown");
  });

  test("a scan goes before the carrier's own word", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({ status: "in_transit", events: [scan(ago(1), "out_for_delivery")] });
    expect((await parcel()).status).toBe("out_for_delivery");
  });

  test("a code that is not listed changes no status, and its scan is kept", async () => {
    const { client, answer, parcel } = await oneParcel();
    await answer({ events: [scan(ago(3), "in_transit")] });
    await answer({
      events: [
        scan(ago(3), "in_transit"),
        scan(ago(1), null, { raw_code: "ZZ9", is_code_listed: false }),
      ],
    });
    expect(await parcel()).toMatchObject({ status: "in_transit", status_version: 1 });
    const { rows } = await client.query("select raw_code, scans from bookpost_ops.unmapped_codes");
    expect(rows).toEqual([{ raw_code: "ZZ9", scans: 1 }]);
  });

  test("a code that we have learnt since takes effect, and leaves the list", async () => {
    const { client, answer, parcel } = await oneParcel();
    const at = ago(1);
    const same = { identity: "same", raw_code: "ZZ9" };
    await answer({ events: [scan(at, null, { ...same, is_code_listed: false })] });
    await answer({ events: [scan(at, "delivered", same)] });
    expect((await parcel()).status).toBe("delivered");
    expect((await client.query("select * from bookpost_ops.unmapped_codes")).rows).toEqual([]);
  });

  test("a scan once understood does not lose its stage to an older program's ignorance", async () => {
    const { answer, parcel } = await oneParcel();
    const at = ago(1);
    await answer({ events: [scan(at, "delivered", { identity: "same" })] });
    await answer({
      events: [scan(at, null, { identity: "same", is_code_listed: false, sort_rank: 5 })],
    });
    expect((await parcel()).status).toBe("delivered");
  });
});

describe("the row of the parcel", () => {
  test("a version counts changes of status only", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({ events: [scan(ago(9), "in_transit")] });
    await answer({ events: [scan(ago(9), "in_transit"), scan(ago(8), "in_transit")] });
    expect((await parcel()).status_version).toBe(1);
    await answer({ events: [scan(ago(7), "out_for_delivery")] });
    expect((await parcel()).status_version).toBe(2);
  });

  test("who signed and the carrier's link stay when a later answer leaves them out", async () => {
    const { answer, parcel } = await oneParcel();
    await answer({
      events: [scan(ago(2), "delivered")],
      signed_by: "M.",
      tracking_url: "https://example.com/1",
    });
    await answer({ events: [scan(ago(2), "delivered")], raw_text: "different" });
    expect(await parcel()).toMatchObject({
      signed_by: "M.",
      tracking_url: "https://example.com/1",
    });
  });

  test("a new estimate replaces both ends of the old one, and the first one is kept beside it", async () => {
    const { client, answer } = await oneParcel();
    await answer({
      estimated_from: "2026-03-01T08:00:00",
      estimated_until: "2026-03-01T12:00:00",
      estimated_time_zone: "Europe/London",
    });
    await answer({
      estimated_from: "2026-03-05",
      estimated_until: "2026-03-06",
      is_estimate_a_date: true,
    });
    await answer({ raw_text: "no estimate now" });
    const { rows } = await client.query(
      `select estimated_from::text, estimated_until::text, estimated_time_zone, is_estimate_a_date,
         first_estimated_from::text, first_estimated_until::text from bookpost.parcels`,
    );
    expect(rows).toEqual([
      {
        estimated_from: "2026-03-05 00:00:00",
        estimated_until: "2026-03-06 00:00:00",
        estimated_time_zone: null,
        is_estimate_a_date: true,
        first_estimated_from: "2026-03-01 08:00:00",
        first_estimated_until: "2026-03-01 12:00:00",
      },
    ]);
  });
});

describe("the session's own settings do not matter", () => {
  test.each([
    ["America/New_York", "ISO, MDY"],
    ["Pacific/Kiritimati", "German"],
    ["Asia/Kathmandu", "SQL, DMY"],
  ])(
    "in a session of time zone %s and date style %s the times are the same",
    async (zone, style) => {
      const { client, answer, parcel } = await oneParcel();
      await client.query(`set local time zone '${zone}'`);
      await client.query(`set local datestyle = '${style}'`);
      const at = ago(5);
      await answer({ events: [scan(at, "delivered", { local_time: "2026-03-04T05:06:07" })] });
      await client.query("set local datestyle = 'ISO, YMD'");
      expect(await parcel()).toMatchObject({
        delivered_at: new Date(at),
        delivered_local_time: "2026-03-04 05:06:07",
      });
    },
  );
});
