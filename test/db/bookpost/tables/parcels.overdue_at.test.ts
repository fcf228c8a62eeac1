import { expect, test } from "vitest";
import { PARCEL_STATUSES, type ParcelStatus } from "../../../../src/carriers/carrier.ts";
import type { Queryable } from "../../../../src/db/withTransaction.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

/** When a parcel is overdue that is under way and due by 18:00 on 10 January, but for what `change` says. */
async function overdueAt(client: Queryable, change: string): Promise<string | null> {
  await client.query(
    `insert into bookpost.parcels (carrier_code, tracking_number, status, estimated_from, estimated_until)
     values ('ups', '1Z999', 'in_transit', '2026-01-10 14:00', '2026-01-10 18:00')`,
  );
  await client.query(`update bookpost.parcels set ${change}`);
  const { at } = await one<{ at: string | null }>(
    client,
    `select to_char(overdue_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as at from bookpost.parcels`,
  );
  return at;
}

test.each([
  // No clock on Earth is later than UTC-12.
  ["no zone: once 18:00 has passed everywhere", "estimated_time_zone = null", "2026-01-11 06:00"],
  ["an offset east of UTC", "estimated_time_zone = '+02:00'", "2026-01-10 16:00"],
  ["an offset west of it", "estimated_time_zone = '-05:30'", "2026-01-10 23:30"],
  ["an offset below an hour", "estimated_time_zone = '-00:30'", "2026-01-10 18:30"],
  ["UTC", "estimated_time_zone = 'UTC'", "2026-01-10 18:00"],
  ["a zone's name, as without", "estimated_time_zone = 'Europe/Paris'", "2026-01-11 06:00"],
  ["no zone at all, as without", "estimated_time_zone = '+99:99'", "2026-01-11 06:00"],
  [
    "a day: once it has ended everywhere",
    "estimated_from = '2026-01-09', estimated_until = '2026-01-10', is_estimate_a_date = true",
    "2026-01-11 12:00",
  ],
])("a parcel is overdue when its latest delivery has passed; %s", async (_, change, at) => {
  expect(await overdueAt(await rolledBack(db, { leavesStuck: true }), change)).toBe(at);
});

const ON_ITS_WAY = new Set<ParcelStatus>([
  "pending",
  "pre_transit",
  "in_transit",
  "out_for_delivery",
  "exception",
  "unknown",
]);

test.each(PARCEL_STATUSES)("whether one that is %s can be overdue", async (status) => {
  const at = await overdueAt(
    await rolledBack(db, { leavesStuck: true }),
    `status = '${status}', estimated_time_zone = 'UTC'`,
  );
  expect(at).toBe(ON_ITS_WAY.has(status) ? "2026-01-10 18:00" : null);
});

test.each([
  ["is closed", "closed_at = now(), closed_reason = 'stopped'"],
  ["goes back to its sender", "is_return = true"],
  ["has no estimate", "estimated_from = null, estimated_until = null"],
])("a parcel that %s is never overdue", async (_, change) => {
  expect(await overdueAt(await rolledBack(db, { leavesStuck: true }), change)).toBeNull();
});

test("isOverdue is true from that moment on, and false before it and where there is none", async () => {
  const client = await rolledBack(db, { leavesStuck: true });
  const isOverdue = async (until: string) => {
    const { is_overdue } = await one<{ is_overdue: boolean }>(
      client,
      `update bookpost.parcels p set estimated_from = x.at, estimated_until = x.at
       from (select ${until} at time zone 'UTC' as at) x returning bookpost.parcels_is_overdue(p) as is_overdue`,
    );
    return is_overdue;
  };
  await overdueAt(client, "estimated_time_zone = 'UTC'");
  // now() stands still within a transaction.
  expect(await isOverdue("now()")).toBe(true);
  expect(await isOverdue("(now() + interval '1 microsecond')")).toBe(false);
  expect(await isOverdue("null::timestamptz")).toBe(false);
});
