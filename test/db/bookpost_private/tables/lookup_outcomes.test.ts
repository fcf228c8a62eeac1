import { expect, test } from "vitest";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

test("the outcomes and what each does to the circuit are exactly these", async () => {
  const { rows } = await db.pool.query<{ outcome: string; circuit_effect: string }>(
    "select outcome, circuit_effect from bookpost_private.lookup_outcomes",
  );
  expect(Object.fromEntries(rows.map((row) => [row.outcome, row.circuit_effect]))).toEqual({
    updated: "success",
    unchanged: "success",
    not_found: "success",
    unavailable: "failure",
    malformed: "failure",
    rate_limited: "none",
    rejected: "none",
    out_of_quota: "none",
    local: "none",
    interrupted: "none",
  });
});

test("every status has a polling policy", async () => {
  const { rows } = await db.pool.query(
    `select s.status from bookpost.parcel_statuses s
     where not exists (select from bookpost_private.polling_policies p where p.status = s.status)`,
  );
  expect(rows).toEqual([]);
});
