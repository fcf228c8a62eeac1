import { expect, test } from "vitest";
import { PARCEL_STATUSES } from "../../../../src/carriers/carrier.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const INSERT = "insert into bookpost.parcels (carrier_code, tracking_number) values ($1, $2)";

test("a parcel cannot be without a carrier", async () => {
  const client = await rolledBack(db, { leavesStuck: true });
  expect(await tryOut(client, INSERT, [null, "1Z999"])).toMatchObject({
    code: "23502",
    message: expect.stringContaining("carrier_code"),
  });
});

test("a parcel cannot be with a carrier that is not listed", async () => {
  const client = await rolledBack(db, { leavesStuck: true });
  expect(await tryOut(client, INSERT, ["hermes", "1Z999"])).toMatchObject({
    code: "23503",
    constraint: "parcels_carrier_code_fkey",
  });
});

test.each([
  ["lower case", "1z999"],
  ["spaces", "1Z 999"],
  ["hyphens", "1Z-999"],
  ["three characters", "1Z9"],
  ["41 characters", "1".repeat(41)],
  ["a slash", "1Z/../9"],
  ["a trailing newline", "1Z999\n"],
  ["full-width digits", "１２３４５"],
  ["Arabic-Indic digits", "٤٤٢٠٧"],
  ["nothing", ""],
])("a tracking number cannot have %s", async (_, number) => {
  const client = await rolledBack(db, { leavesStuck: true });
  expect(await tryOut(client, INSERT, ["ups", number])).toMatchObject({
    code: "23514",
    constraint: "parcels_tracking_number_is_normalised",
  });
});

test("a second live parcel of one carrier and number is refused", async () => {
  const client = await rolledBack(db, { leavesStuck: true });
  await client.query(INSERT, ["ups", "1Z999"]);
  expect(await tryOut(client, INSERT, ["ups", "1Z999"])).toMatchObject({
    code: "23505",
    constraint: "parcels_one_live_per_carrier_and_number",
  });
});

test("two carriers may use the same number", async () => {
  const client = await rolledBack(db, { leavesStuck: true });
  await client.query(INSERT, ["ups", "1Z999"]);
  expect(await tryOut(client, INSERT, ["dhl", "1Z999"])).toBeNull();
});

test("the number of a closed parcel may live again, once", async () => {
  const client = await rolledBack(db, { leavesStuck: true });
  const close = "update bookpost.parcels set closed_at = now(), closed_reason = 'delivered'";
  await client.query(INSERT, ["ups", "1Z999"]);
  await client.query(close);
  await client.query(INSERT, ["ups", "1Z999"]);
  expect(await tryOut(client, INSERT, ["ups", "1Z999"])).toMatchObject({ code: "23505" });
  await client.query(`${close} where closed_at is null`);
  expect(await tryOut(client, INSERT, ["ups", "1Z999"])).toBeNull();
  expect(
    await tryOut(client, "update bookpost.parcels set closed_at = null, closed_reason = null"),
  ).toMatchObject({ constraint: "parcels_one_live_per_carrier_and_number" });
});

test.each([
  ["status = 'lost'", "parcels_status_fkey"],
  ["status = 'Delivered'", "parcels_status_fkey"],
  ["delivered_at = now()", "parcels_delivery_time_needs_a_delivery"],
  [
    "status = 'in_transit', delivered_local_time = '2026-01-01'",
    "parcels_delivery_time_needs_a_delivery",
  ],
  ["status = 'cancelled', delivered_at = now()", "parcels_delivery_time_needs_a_delivery"],
  ["closed_at = now()", "parcels_closing_has_a_reason"],
  ["closed_reason = 'stopped'", "parcels_closing_has_a_reason"],
  ["closed_at = now(), closed_reason = 'bored'", "parcels_closed_reason_is_known"],
  ["estimated_from = '2026-01-01'", "parcels_estimate_has_both_ends"],
  [
    "estimated_from = '2026-01-02', estimated_until = '2026-01-01'",
    "parcels_estimate_has_both_ends",
  ],
  ["tracking_url = 'http://example.com'", "parcels_tracking_url_is_https"],
  ["tracking_url = 'javascript:alert(1)'", "parcels_tracking_url_is_https"],
  ["tracking_url = e'https://example.com/\\nx'", "parcels_tracking_url_is_https"],
  ["tracking_url = 'https://example.com/' || repeat('x', 2000)", "parcels_tracking_url_is_https"],
])("a parcel cannot be set to %s", async (change, constraint) => {
  const client = await rolledBack(db, { leavesStuck: true });
  await client.query(INSERT, ["ups", "1Z999"]);
  expect(await tryOut(client, `update bookpost.parcels set ${change}`)).toMatchObject({
    constraint,
  });
});

test.each([
  "status = 'delivered', delivered_at = now()",
  "status = 'delivered'",
  "status = 'return_to_sender', delivered_at = now()",
  "estimated_from = '2026-01-01', estimated_until = '2026-01-01'",
])("a parcel may be set to %s", async (change) => {
  const client = await rolledBack(db, { leavesStuck: true });
  await client.query(INSERT, ["ups", "1Z999"]);
  expect(await tryOut(client, `update bookpost.parcels set ${change}`)).toBeNull();
});

test("the statuses of the database are those of the carriers' code, no more and no fewer", async () => {
  const { rows } = await db.pool.query<{ status: string }>(
    "select status from bookpost.parcel_statuses order by position",
  );
  expect(rows.map(({ status }) => status)).toEqual([...PARCEL_STATUSES]);
});
