import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { refusalOf, tryOut } from "../../../helpers/refusal.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

test("a new API has its circuit and its budget from the start, and they go with it", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  const companions = `select
    (select count(*)::integer from bookpost.carrier_circuits where api_code = $1) as circuits,
    (select count(*)::integer from bookpost_private.budgets where api_code = $1) as budgets`;
  expect(await one(client, companions, [code])).toEqual({ circuits: 1, budgets: 1 });
  await client.query("delete from bookpost.carrier_apis where code = $1", [code]);
  expect(await one(client, companions, [code])).toEqual({ circuits: 0, budgets: 0 });
});

test("every API that was there from the start has its circuit, closed, and its budget, unspent", async () => {
  const { rows } = await db.pool.query(
    `select a.code, c.state, b.day_calls
     from bookpost.carrier_apis a
     left join bookpost.carrier_circuits c on c.api_code = a.code
     left join bookpost_private.budgets b on b.api_code = a.code`,
  );
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) expect(row).toMatchObject({ state: "closed", day_calls: 0 });
});

test.each([
  [{ calls_in_flight: 0 }],
  [{ calls_per_day: 0 }],
  [{ call_windows: { "1 second": 0 } }],
  [{ call_windows: { "0": 1 } }],
  [{ call_windows: { "8 days": 1 } }],
  // No limit at all, and finer than time is counted: the row is to be left out.
  [{ call_windows: { "1 second": 10_000_000 } }],
  [{ lease_duration: "60 days" }],
  [{ release_duration: "2 days" }],
  [{ calls_per_parcel_per_day: 0 }],
  [{ release_duration: "-1 second" }],
  [{ failure_threshold: 0 }],
  [{ cooldown: "0" }],
  [{ cooldown: "2 hours", max_cooldown: "1 hour" }],
  [{ lease_duration: "0" }],
  [{ min_check_interval: "-1 second" }],
])("an API cannot have %j", async (limits) => {
  const client = await rolledBack(db);
  expect(await refusalOf(makeApi(client, limits))).toMatchObject({ code: "23514" });
});

test("an API without any limit is possible", async () => {
  const client = await rolledBack(db);
  expect(await refusalOf(makeApi(client))).toBeNull();
});

test("an API's day cannot begin in a time zone that Postgres does not know", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  expect(
    await tryOut(
      client,
      "update bookpost.carrier_apis set day_time_zone = 'Mars/Base' where code = $1",
      [code],
    ),
  ).not.toBeNull();
});
