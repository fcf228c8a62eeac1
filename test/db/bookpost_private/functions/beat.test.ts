import { expect, test } from "vitest";
import { beat } from "../../../../src/sql/beat.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

test("a beat is one row a worker, with the newest time and credentials, and keeps its counts", async () => {
  const client = await rolledBack(db);
  const worker = { workerId: "w1", hostName: "h", processId: 7 };
  await beat(client, { ...worker, apiFingerprints: { ups: "a" } });
  await client.query(
    "update bookpost_private.workers set beat_at = now() - interval '1 hour', stale_results = 3",
  );
  await beat(client, { ...worker, apiFingerprints: { dhl: "b" } });
  expect(
    await one(
      client,
      "select id, host_name, process_id, api_fingerprints, stale_results, beat_at > now() - interval '1 minute' as is_alive from bookpost_private.workers",
    ),
  ).toEqual({
    id: "w1",
    host_name: "h",
    process_id: 7,
    api_fingerprints: { dhl: "b" },
    stale_results: 3,
    is_alive: true,
  });
});

test("parking without a known fingerprint ends with any credentials", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client, {}, { isConfigured: false });
  await client.query(
    "update bookpost_private.budgets set parked_at = now(), parked_reason = 'x' where api_code = $1",
    [api.code],
  );
  await beat(client, {
    workerId: "w1",
    hostName: "h",
    processId: 7,
    apiFingerprints: { [api.code]: "a" },
  });
  expect(
    await one(client, "select parked_at from bookpost_private.budgets where api_code = $1", [
      api.code,
    ]),
  ).toEqual({ parked_at: null });
});

test("a beat writes no budget while nothing is parked", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const xmin = () =>
    one(client, "select xmin::text, ctid::text from bookpost_private.budgets where api_code = $1", [
      api.code,
    ]);
  const before = await xmin();
  await beat(client, {
    workerId: api.workerId,
    hostName: "h",
    processId: 7,
    apiFingerprints: { [api.code]: "another" },
  });
  expect(await xmin()).toEqual(before);
});
