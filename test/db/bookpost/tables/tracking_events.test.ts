import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

test.each([
  ["a stage told by a code that is not listed", { is_code_listed: false }, "23514"],
  ["a status that is not in the list", { status: "lost" }, "23503"],
  ["an identity of 101 characters", { identity: "x".repeat(101) }, "23514"],
  ["a description of 501 characters", { description: "x".repeat(501) }, "23514"],
  ["no place in the order", { sort_at: null }, "23502"],
])("a scan cannot have %s", async (_, wrong, code) => {
  const client = await rolledBack(db);
  const { parcelId } = await trackBook(client, "ups");
  const row = {
    parcel_id: parcelId,
    identity: "1",
    raw_time: "then",
    status: "in_transit",
    raw_code: "IT",
    is_code_listed: true,
    description: null,
    is_date_only: false,
    is_action_required: false,
    first_seen_at: "2026-01-01",
    sort_at: "2026-01-01T00:00:00Z",
    sort_rank: 0,
  };
  const insert = `insert into bookpost.tracking_events
    select * from jsonb_populate_record(null::bookpost.tracking_events, $1)`;
  expect(await tryOut(client, insert, [JSON.stringify(row)])).toBeNull();
  expect(await tryOut(client, insert, [JSON.stringify({ ...row, ...wrong })])).toMatchObject({
    code,
  });
});
