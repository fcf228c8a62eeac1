import { expect, test } from "vitest";
import { makeDue } from "../../../helpers/ageing.ts";
import { testThatAllIsQuiet } from "../../../helpers/allIsQuiet.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

test("there is one row for each API", async () => {
  const { rows } = await db.pool.query<{ api_code: string }>(
    "select api_code from bookpost_ops.circuits order by api_code",
  );
  const { rows: apis } = await db.pool.query<{ code: string }>(
    "select code from bookpost.carrier_apis order by code",
  );
  expect(rows.map(({ api_code }) => api_code)).toEqual(apis.map(({ code }) => code));
});

test("it tells what is in flight, what is due, what the day has cost and what happened last", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client, { failure_threshold: 1, calls_per_day: 9 });
  const parcels = [];
  for (let i = 0; i < 4; i++) parcels.push((await trackBook(client, code)).parcelId);
  const [a = "", b = "", c = "", d = ""] = parcels;
  await lookUp(client, a, (id) => found(id));
  await permitFor(client, b);
  await lookUp(client, c, (id) => failed(id, "unavailable", { error_code: "TIMEOUT" }));
  await makeDue(client, d);
  expect(
    await one(client, "select * from bookpost_ops.circuits where api_code = $1", [code]),
  ).toMatchObject({
    state: "open",
    generation: 2,
    consecutive_failures: 1,
    held_by: "circuit_open",
    day_calls: 3,
    calls_per_day: 9,
    in_flight: 1,
    // The one in flight is due until its lookup is recorded.
    due: 2,
    last_transition: "1 failures in a row, the last: TIMEOUT",
  });
});

test("yesterday's calls are not shown as today's", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client);
  await client.query(
    "update bookpost_private.budgets set day = (now() at time zone 'UTC')::date - 1, day_calls = 7 where api_code = $1",
    [code],
  );
  expect(
    await one(client, "select day_calls from bookpost_ops.circuits where api_code = $1", [code]),
  ).toEqual({ day_calls: 0 });
});

testThatAllIsQuiet(db);
