import { describe, expect, test } from "vitest";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { ageCircuit, makeDue } from "../../../helpers/ageing.ts";
import { circuitOf, transitionsOf } from "../../../helpers/circuitOf.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp } from "../../../helpers/lookUp.ts";
import { type ApiLimits, makeApi } from "../../../helpers/makeApi.ts";
import { dueParcels, permitsFor } from "../../../helpers/permits.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";

const db = testDatabase();

async function someParcels(count: number, limits: ApiLimits = {}) {
  const client = await rolledBack(db);
  const api = await makeApi(client, { min_check_interval: "0", ...limits });
  const ids = await dueParcels(client, api.code, count);
  return {
    client,
    api,
    ids: ids as [string, string, string],
    fail: (parcelId: string) => lookUp(client, parcelId, (id) => failed(id, "unavailable")),
    answer: (parcelId: string) => lookUp(client, parcelId, (id) => found(id)),
    circuit: () => circuitOf(client, api.code),
  };
}

describe("one bad parcel does not shut a carrier", () => {
  test("its failures alone open nothing, however many, while another is live", async () => {
    const { ids, fail, circuit } = await someParcels(2);
    for (let i = 0; i < 25; i++) await fail(ids[0]);
    expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 25 });
  });

  test("the first failure of a second parcel then opens it, and both are in evidence", async () => {
    const { client, api, ids, fail, circuit } = await someParcels(2);
    for (let i = 0; i < 5; i++) await fail(ids[0]);
    await fail(ids[1]);
    expect(await circuit()).toMatchObject({ state: "open", consecutive_failures: 6 });
    const [move] = await transitionsOf(client, api.code);
    const { rows } = await client.query(
      "select distinct parcel_id from bookpost_private.lookups where id = any ($1)",
      [move?.lookup_ids],
    );
    expect(rows).toHaveLength(2);
  });

  test("three failures of two parcels are needed, not two", async () => {
    const { ids, fail, circuit } = await someParcels(2);
    await fail(ids[0]);
    await fail(ids[1]);
    expect((await circuit()).state).toBe("closed");
    await fail(ids[0]);
    expect((await circuit()).state).toBe("open");
  });

  test("where it is the only live one, its failures count for all", async () => {
    const { client, ids, fail, circuit } = await someParcels(2);
    await client.query("select bookpost_private.close_parcel($1, 'stopped')", [ids[1]]);
    for (let i = 0; i < 3; i++) await fail(ids[0]);
    expect((await circuit()).state).toBe("open");
  });

  test("where one failure is said to be enough, it is", async () => {
    const { ids, fail, circuit } = await someParcels(2, { failure_threshold: 1 });
    await fail(ids[0]);
    expect((await circuit()).state).toBe("open");
  });

  test("an answer in between makes the other parcel's failure an old one", async () => {
    const { ids, fail, answer, circuit } = await someParcels(3);
    await fail(ids[1]);
    await answer(ids[2]);
    for (let i = 0; i < 4; i++) await fail(ids[0]);
    expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 4 });
  });
});

describe("a request that asks about many parcels", () => {
  test("is one failure, however many it fails", async () => {
    const { client, ids, circuit } = await someParcels(10, { batch_size: 10 });
    for (const count of [1, 2, 3]) {
      await makeDue(client, ...ids);
      const permits = await permitsFor(client, ids);
      expect(permits).toHaveLength(10);
      await recordLookups(
        client,
        permits.map((id) => failed(id, "unavailable")),
        "worker",
      );
      const { state, consecutive_failures } = await circuit();
      expect({ state, consecutive_failures }).toEqual({
        state: count === 3 ? "open" : "closed",
        consecutive_failures: count,
      });
    }
  });

  test("is one failure when its ends are recorded one by one as well", async () => {
    const { client, ids, circuit } = await someParcels(4, { batch_size: 10 });
    for (const id of await permitsFor(client, ids))
      await recordLookups(client, [failed(id, "unavailable")], "worker");
    const { consecutive_failures, failed_lookup_ids } = await circuit();
    expect(consecutive_failures).toBe(1);
    // Two are kept: enough to tell that more than one parcel was hit.
    expect(failed_lookup_ids).toHaveLength(2);
  });

  test("is one failure when the ends of two requests come mixed", async () => {
    const { client, ids, circuit } = await someParcels(4, { batch_size: 2 });
    const [a1 = "", a2 = "", b1 = "", b2 = ""] = await permitsFor(client, ids);
    await recordLookups(
      client,
      [a1, b1, a2, b2].map((id) => failed(id, "unavailable")),
      "worker",
    );
    expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 2 });
  });

  test("that fails one of its parcels and answers for another is no failure in a row", async () => {
    const { client, ids, circuit } = await someParcels(3, { batch_size: 10 });
    const [a = "", b = "", c = ""] = await permitsFor(client, ids);
    await recordLookups(
      client,
      [failed(a, "malformed"), found(b), failed(c, "malformed")],
      "worker",
    );
    expect((await circuit()).consecutive_failures).toBe(1);
  });
});

describe("the probe", () => {
  /** Open, cooled down, and the first parcel failed last. */
  async function cooledDown() {
    const made = await someParcels(3);
    const { client, api, ids, fail } = made;
    for (const id of [ids[1], ids[0], ids[0]]) await fail(id);
    await ageCircuit(client, api.code, "31 minutes");
    return made;
  }

  test("is not the parcel that failed last while another is due", async () => {
    const { client, ids, circuit } = await cooledDown();
    await makeDue(client, ...ids);
    const [verdict] = await acquireLookups(client, [ids[0]], "worker");
    expect(verdict?.verdict).toBe("circuit_half_open");
    expect((await circuit()).state).toBe("open");
    expect(await permitsFor(client, [ids[2]])).toHaveLength(1);
    expect((await circuit()).state).toBe("half_open");
  });

  test("is that parcel where no other is due", async () => {
    const { client, ids } = await cooledDown();
    await client.query(
      "update bookpost_private.checks set next_check_at = now() + interval '1 hour'",
    );
    await makeDue(client, ids[0]);
    expect(await permitsFor(client, [ids[0]])).toHaveLength(1);
  });

  test("that failed is the one that failed last, from then on", async () => {
    const { client, api, ids, fail, circuit } = await cooledDown();
    await fail(ids[2]);
    expect(await circuit()).toMatchObject({ state: "open", consecutive_failures: 4 });
    await ageCircuit(client, api.code, "61 minutes");
    await makeDue(client, ...ids);
    const [verdict] = await acquireLookups(client, [ids[2]], "worker");
    expect(verdict?.verdict).toBe("circuit_half_open");
    expect(await permitsFor(client, [ids[0]])).toHaveLength(1);
  });
});
