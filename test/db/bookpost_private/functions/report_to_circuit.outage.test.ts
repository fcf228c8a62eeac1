import { expect, test } from "vitest";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { ageCircuit, makeDue } from "../../../helpers/ageing.ts";
import { circuitOf } from "../../../helpers/circuitOf.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { jobsOf } from "../../../helpers/jobsOf.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { dueParcels, permitsFor } from "../../../helpers/permits.ts";
import { failed } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

const MINUTES = 60;
const THREE_DAYS = 3 * 24 * 60 * MINUTES;

test("a carrier that is down for three days is asked twenty times, and its queue never holds more than the probe", async () => {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const parcelIds = await dueParcels(client, api.code, 30);
  const ask = async (lookupIds: readonly string[]) =>
    recordLookups(
      client,
      lookupIds.map((id) => failed(id, "unavailable")),
      api.workerId,
    );

  await ask(await permitsFor(client, parcelIds.slice(0, 3), api.workerId));
  let elapsed = 0;
  let probes = 0;
  for (;;) {
    // Open: the parcels are due, and no job, no permit and no request comes of it.
    expect(await circuitOf(client, api.code)).toMatchObject({ state: "open" });
    await makeDue(client, ...parcelIds);
    await dispatch(client);
    expect(await jobsOf(client, ...parcelIds)).toEqual([]);
    const refused = await acquireLookups(client, parcelIds, api.workerId);
    expect(new Set(refused.map(({ verdict }) => verdict))).toEqual(new Set(["circuit_open"]));

    const { seconds } = await one<{ seconds: number }>(
      client,
      "select extract(epoch from cooldown)::integer as seconds from bookpost.carrier_circuits where api_code = $1",
      [api.code],
    );
    elapsed += seconds;
    if (elapsed > THREE_DAYS) break;
    await ageCircuit(client, api.code, `${seconds + 1} seconds`);
    await dispatch(client);
    const jobs = await jobsOf(client, ...parcelIds);
    expect(jobs).toHaveLength(1);
    await client.query("select graphile_worker.remove_job($1)", [jobs[0]?.key]);

    // Whoever asks, by a job or otherwise: one of thirty is let through.
    const lookupIds = await permitsFor(client, parcelIds, api.workerId);
    expect(lookupIds).toHaveLength(1);
    probes += 1;
    await ask(lookupIds);
  }
  // After 30 minutes, one hour and two; then every four hours.
  expect(probes).toBe(20);
});
