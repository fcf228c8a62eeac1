import { expect, test } from "vitest";
import { compareSlots } from "../../src/ops/compareSlots.ts";
import { rolledBack } from "../helpers/database.ts";
import { makeApi } from "../helpers/makeApi.ts";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

test("a worker with fewer slots than its carriers can hold says so, with the number that would do", async () => {
  const client = await rolledBack(db);
  const one = await makeApi(client, { calls_in_flight: 10 });
  const many = await makeApi(client, { calls_in_flight: 4, batch_size: 30 });
  const codes = [one.code, many.code];
  expect(await compareSlots(client, codes, 130)).toBeNull();
  expect(await compareSlots(client, codes, 129)).toMatch(
    /130 lookups in flight, and this worker runs 129 .* Set BOOKPOST_CONCURRENCY to 130/,
  );
});

test("carriers that are not configured here need no slots", async () => {
  const client = await rolledBack(db);
  const { code } = await makeApi(client, { calls_in_flight: 10 });
  await makeApi(client, { calls_in_flight: 1000 });
  expect(await compareSlots(client, [code], 10)).toBeNull();
  expect(await compareSlots(client, [], 1)).toBeNull();
});
