import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { releaseLookups } from "../../../../src/sql/releaseLookups.ts";
import { ageBudget, makeDue } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const DAY_CALLS = "select day_calls from bookpost_private.budgets where api_code = $1";

test("a permit that was not used gives its call of the day back, and the parcel stays due", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client, { calls_per_day: 2 });
  const { parcelId } = await trackBook(client, api.code);
  const other = await trackBook(client, api.code);
  const unused = await permitFor(client, parcelId);
  await permitFor(client, other.parcelId);
  expect(await one(client, DAY_CALLS, [api.code])).toEqual({ day_calls: 2 });

  expect(await releaseLookups(client, [unused], "late")).toBe(1);
  expect(await one(client, DAY_CALLS, [api.code])).toEqual({ day_calls: 1 });
  await permitFor(client, parcelId);
});

test("a permit given back twice, or one that never was, changes nothing", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const { parcelId } = await trackBook(client, api.code);
  const unused = await permitFor(client, parcelId);
  await releaseLookups(client, [unused], "late");
  const before = await tableDigests(client);
  expect(await releaseLookups(client, [unused, randomUUID()], "late")).toBe(0);
  expect(await tableDigests(client)).toEqual(before);
});

test("yesterday's permit gives nothing back to today", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const { parcelId } = await trackBook(client, api.code);
  const unused = await permitFor(client, parcelId);
  await client.query("update bookpost_private.leases set call_at = call_at - interval '1 day'");
  await releaseLookups(client, [unused], "late");
  expect(await one(client, DAY_CALLS, [api.code])).toEqual({ day_calls: 1 });
});

test("the count never falls below nothing", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const { parcelId } = await trackBook(client, api.code);
  const unused = await permitFor(client, parcelId);
  await client.query("update bookpost_private.budgets set day_calls = 0");
  await releaseLookups(client, [unused], "late");
  expect(await one(client, DAY_CALLS, [api.code])).toEqual({ day_calls: 0 });
});

test("several APIs' permits go back in one call, each to its own API", async () => {
  const client = await rolledBack(db);
  const apis = [await makeApi(client), await makeApi(client)];
  const ids = [];
  for (const { code } of [...apis, ...apis])
    ids.push(await permitFor(client, (await trackBook(client, code)).parcelId));
  expect(await releaseLookups(client, ids, "late")).toBe(4);
  for (const { code } of apis)
    expect(await one(client, DAY_CALLS, [code])).toEqual({ day_calls: 0 });
});

test("the pace is not given back: the next call still keeps its distance", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client, { call_windows: { "1 minute": 1 } });
  const { parcelId } = await trackBook(client, api.code);
  await releaseLookups(client, [await permitFor(client, parcelId)], "late");
  await makeDue(client, parcelId);
  await expect(permitFor(client, parcelId)).rejects.toThrow("no permit: no_budget");
  await ageBudget(client, api.code, "61 seconds");
  await permitFor(client, parcelId);
});
