import { expect, test } from "vitest";
import { acquireLookups } from "../../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../../src/sql/recordLookups.ts";
import { ageCircuit, makeDue } from "../../helpers/ageing.ts";
import { testThatAllIsQuiet } from "../../helpers/allIsQuiet.ts";
import { circuitOf, transitionsOf } from "../../helpers/circuitOf.ts";
import { makeApi } from "../../helpers/makeApi.ts";
import { openClients } from "../../helpers/openClient.ts";
import { dueParcels, permitsFor } from "../../helpers/permits.ts";
import { failed, found } from "../../helpers/reports.ts";
import { shareOut } from "../../helpers/shareOut.ts";
import { testDatabase } from "../../helpers/testDatabase.ts";

const db = testDatabase();

test("200 failures reported at once over 20 connections are counted as exactly 200", async () => {
  const api = await makeApi(db.pool, { failure_threshold: 1000 });
  const lookupIds = await permitsFor(db.pool, await dueParcels(db.pool, api.code, 200));
  const clients = await openClients(db.url, 20);
  await shareOut(clients, lookupIds, (client, id) =>
    recordLookups(client, [failed(id, "unavailable")], "worker"),
  );
  expect(await circuitOf(db.pool, api.code)).toMatchObject({
    state: "closed",
    consecutive_failures: 200,
  });
});

test("60 failures at once open it once", async () => {
  const api = await makeApi(db.pool);
  const lookupIds = await permitsFor(db.pool, await dueParcels(db.pool, api.code, 60));
  const clients = await openClients(db.url, 10);
  await shareOut(clients, lookupIds, (client, id) =>
    recordLookups(client, [failed(id, "unavailable")], "worker"),
  );
  expect(await circuitOf(db.pool, api.code)).toMatchObject({ state: "open", generation: 2 });
  expect(await transitionsOf(db.pool, api.code)).toHaveLength(1);
});

test("of 30 who ask at once over 10 connections when the cooldown has passed, exactly one gets a permit, round after round", async () => {
  const api = await makeApi(db.pool, { failure_threshold: 1 });
  const parcelIds = await dueParcels(db.pool, api.code, 30);
  const [first = ""] = await permitsFor(db.pool, parcelIds.slice(0, 1));
  await recordLookups(db.pool, [failed(first, "unavailable")], "worker");
  const clients = await openClients(db.url, 10);
  for (let round = 0; round < 8; round++) {
    await ageCircuit(db.pool, api.code, "5 hours");
    await makeDue(db.pool, ...parcelIds);
    const verdicts = (
      await shareOut(clients, parcelIds, (client, id) => acquireLookups(client, [id], "worker"))
    ).flat();
    const permits = verdicts.flatMap((v) => (v.verdict === "permit" ? [v] : []));
    expect(permits).toHaveLength(1);
    const [probe] = permits;
    expect(await circuitOf(db.pool, api.code)).toMatchObject({
      state: "half_open",
      generation: 3 + 2 * round,
      probe_lookup_id: probe?.lookupId,
    });
    await recordLookups(db.pool, [failed(probe?.lookupId ?? "", "unavailable")], "worker");
  }
});

test("answers and failures at once: the count is that of the failures since the last answer, never more", async () => {
  const api = await makeApi(db.pool, { failure_threshold: 1000 });
  const lookupIds = await permitsFor(db.pool, await dueParcels(db.pool, api.code, 100));
  const clients = await openClients(db.url, 10);
  const reports = lookupIds.map((id, i) => (i % 10 === 5 ? found(id) : failed(id, "unavailable")));
  await shareOut(clients, reports, (client, report) => recordLookups(client, [report], "worker"));
  const { consecutive_failures } = await circuitOf(db.pool, api.code);
  expect(consecutive_failures).toBeLessThanOrEqual(90);
  const [last = ""] = await permitsFor(db.pool, await dueParcels(db.pool, api.code, 1));
  await recordLookups(db.pool, [found(last)], "worker");
  expect((await circuitOf(db.pool, api.code)).consecutive_failures).toBe(0);
});

testThatAllIsQuiet(db);
