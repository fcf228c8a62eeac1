import type { ClientBase } from "pg";
import { describe, expect, test } from "vitest";
import { acquireLookups } from "../../../../src/sql/acquireLookups.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { releaseLookups } from "../../../../src/sql/releaseLookups.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageCircuit, ageLease, makeDue } from "../../../helpers/ageing.ts";
import { expectQuiet } from "../../../helpers/allIsQuiet.ts";
import { circuitOf, transitionsOf } from "../../../helpers/circuitOf.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { type ApiLimits, makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** An API of this test's own with one parcel; `fail` and `succeed` look it up with that end. */
async function oneParcel(limits: ApiLimits = {}) {
  const client = await rolledBack(db);
  const api = await makeApi(client, limits);
  const { parcelId, bookId } = await trackBook(client, api.code);
  return {
    client,
    api,
    parcelId,
    bookId,
    circuit: () => circuitOf(client, api.code),
    transitions: () => transitionsOf(client, api.code),
    end: (outcome: string) => lookUp(client, parcelId, (id) => failed(id, outcome)),
    fail: () => lookUp(client, parcelId, (id) => failed(id, "unavailable")),
    succeed: () => lookUp(client, parcelId, (id) => found(id)),
    age: (by: string) => ageCircuit(client, api.code, by),
  };
}

/** Opens the circuit by failures of two parcels, the last that of the one given. */
async function open(client: ClientBase, parcelId: string): Promise<void> {
  const { api_code } = await one<{ api_code: string }>(
    client,
    "select api_code from bookpost_private.checks where parcel_id = $1",
    [parcelId],
  );
  const other = await trackBook(client, api_code);
  for (const id of [other.parcelId, parcelId, parcelId])
    await lookUp(client, id, (lookupId) => failed(lookupId, "unavailable"));
}

describe("closed", () => {
  test("three failures in a row open it for 30 minutes, and name the three lookups", async () => {
    const { circuit, fail, client, parcelId, transitions } = await oneParcel();
    await fail();
    await fail();
    expect(await circuit()).toMatchObject({
      state: "closed",
      consecutive_failures: 2,
      generation: 1,
    });
    await fail();
    expect(await circuit()).toMatchObject({ state: "open", open_for: "00:30:00", generation: 2 });

    const { rows } = await client.query<{ id: string }>(
      "select id from bookpost_private.lookups where parcel_id = $1 order by finished_at",
      [parcelId],
    );
    expect(await transitions()).toEqual([
      {
        move: "closed → open",
        generation: 2,
        reason: "3 failures in a row, the last: UNAVAILABLE",
        lookup_ids: rows.map(({ id }) => id),
        author: null,
      },
    ]);
  });

  test("malformed answers open it as well", async () => {
    const { circuit, end } = await oneParcel();
    await end("malformed");
    await end("unavailable");
    await end("malformed");
    expect((await circuit()).state).toBe("open");
  });

  test("a success in between starts the count anew", async () => {
    const { circuit, fail, succeed } = await oneParcel();
    await fail();
    await fail();
    await succeed();
    expect((await circuit()).consecutive_failures).toBe(0);
    await fail();
    await fail();
    expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 2 });
  });

  test("an unknown number is a success: the carrier is well", async () => {
    const { circuit, fail, end } = await oneParcel();
    await fail();
    await fail();
    await end("not_found");
    expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 0 });
  });

  test.each(["rate_limited", "rejected", "out_of_quota", "local", "interrupted"])(
    "%s neither counts as a failure nor ends a row of them",
    async (outcome) => {
      const { circuit, fail, end, client, api } = await oneParcel();
      await fail();
      await fail();
      await end(outcome);
      expect(await circuit()).toMatchObject({ state: "closed", consecutive_failures: 2 });
      // What made the API wait is over; the third failure is still the third.
      await client.query(
        "update bookpost_private.budgets set not_before = null, not_before_reason = null where api_code = $1",
        [api.code],
      );
      await fail();
      expect((await circuit()).state).toBe("open");
    },
  );

  test("answers do not write the circuit's row while all is well", async () => {
    const { circuit, succeed, end } = await oneParcel();
    const before = await circuit();
    await succeed();
    await succeed();
    await end("not_found");
    await end("local");
    expect(await circuit()).toEqual(before);
  });

  test("within one batch the order of finishing counts: failures, then a success, is no failure", async () => {
    const { client, api, circuit } = await oneParcel();
    const parcels = [];
    for (let i = 0; i < 6; i++) parcels.push((await trackBook(client, api.code)).parcelId);
    const ids = [];
    for (const parcelId of parcels) ids.push(await permitFor(client, parcelId));
    const [a, b, c, d, e, f] = ids as [string, string, string, string, string, string];
    await recordLookups(
      client,
      [failed(a, "unavailable"), failed(b, "unavailable"), found(c), failed(d, "unavailable")],
      "worker",
    );
    expect(await circuit()).toMatchObject({
      state: "closed",
      consecutive_failures: 1,
      failed_lookup_ids: [d],
    });
    await recordLookups(client, [failed(e, "unavailable"), failed(f, "unavailable")], "worker");
    expect((await circuit()).state).toBe("open");
  });

  test("the evidence begins anew after a success within a batch", async () => {
    const { client, api, circuit, fail } = await oneParcel();
    await fail();
    const other = await trackBook(client, api.code);
    const third = await trackBook(client, api.code);
    const answered = await permitFor(client, other.parcelId);
    const failing = await permitFor(client, third.parcelId);
    await recordLookups(client, [found(answered), failed(failing, "unavailable")], "worker");
    expect(await circuit()).toMatchObject({
      consecutive_failures: 1,
      failed_lookup_ids: [failing],
    });
  });

  test("failures beyond the third in the same batch do not move it twice", async () => {
    const { client, api, circuit, transitions } = await oneParcel();
    const ids = [];
    for (let i = 0; i < 8; i++)
      ids.push(await permitFor(client, (await trackBook(client, api.code)).parcelId));
    await recordLookups(
      client,
      ids.map((id) => failed(id, "unavailable")),
      "worker",
    );
    expect(await circuit()).toMatchObject({
      state: "open",
      generation: 2,
      consecutive_failures: 3,
    });
    expect(await transitions()).toHaveLength(1);
  });
});

describe("open", () => {
  test("nobody gets a permit, and asking writes nothing", async () => {
    const { client, api, parcelId, circuit } = await oneParcel({ calls_per_day: 100 });
    const other = await trackBook(client, api.code);
    await open(client, parcelId);
    await makeDue(client, parcelId, other.parcelId);
    const before = await circuit();
    const spent = "select xmin::text, * from bookpost_private.budgets where api_code = $1";
    const { rows: budget } = await client.query(spent, [api.code]);

    const verdicts = await acquireLookups(client, [parcelId, other.parcelId], "worker");
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(["circuit_open", "circuit_open"]);
    expect(await circuit()).toEqual(before);
    expect((await client.query(spent, [api.code])).rows).toEqual(budget);
    expect((await client.query("select from bookpost_private.leases")).rows).toHaveLength(0);
  });

  test("the refusal says until when it is open", async () => {
    const { client, parcelId } = await oneParcel();
    await open(client, parcelId);
    await makeDue(client, parcelId);
    const [verdict] = await acquireLookups(client, [parcelId], "worker");
    const { rows } = await client.query<{ open_until: Date }>(
      "select open_until from bookpost.carrier_circuits where state = 'open'",
    );
    expect(verdict).toMatchObject({ verdict: "circuit_open", retryAt: rows[0]?.open_until });
  });

  test("a success of a lookup that began before the opening does not close it", async () => {
    const { client, api, parcelId, circuit } = await oneParcel();
    const early = await permitFor(client, (await trackBook(client, api.code)).parcelId);
    await open(client, parcelId);
    const before = await circuit();
    const [recorded] = await recordLookups(client, [found(early)], "worker");
    expect(recorded).toMatchObject({ outcome: "updated" });
    expect(await circuit()).toEqual(before);
  });

  test("a failure of a lookup that began before the opening does not prolong it", async () => {
    const { client, api, parcelId, circuit } = await oneParcel();
    const early = await permitFor(client, (await trackBook(client, api.code)).parcelId);
    await open(client, parcelId);
    const before = await circuit();
    await recordLookups(client, [failed(early, "unavailable")], "worker");
    expect(await circuit()).toEqual(before);
  });
});

describe("half open", () => {
  test("when 30 minutes have passed, one permit is granted, and it is the probe", async () => {
    const { client, api, parcelId, age, circuit, transitions } = await oneParcel();
    const others = [await trackBook(client, api.code), await trackBook(client, api.code)];
    await open(client, parcelId);
    await age("31 minutes");
    const ids = [parcelId, ...others.map((other) => other.parcelId)];
    await makeDue(client, ...ids);

    const verdicts = await acquireLookups(client, ids, "worker");
    const permits = verdicts.filter(({ verdict }) => verdict === "permit");
    expect(permits).toHaveLength(1);
    expect(verdicts.filter(({ verdict }) => verdict === "circuit_half_open")).toHaveLength(2);
    const { rows: leases } = await client.query("select * from bookpost_private.leases");
    expect(leases).toMatchObject([{ is_probe: true, generation: 3 }]);
    expect(await circuit()).toMatchObject({
      state: "half_open",
      generation: 3,
      probe_lookup_id: leases[0]?.lookup_id,
    });
    expect((await transitions()).at(-1)).toMatchObject({
      move: "open → half_open",
      generation: 3,
      lookup_ids: [leases[0]?.lookup_id],
    });
    // The one that failed last is the worst of probes.
    expect(permits[0]?.parcelId).not.toBe(parcelId);
  });

  test("one second before the end of the cooldown there is no probe", async () => {
    const { client, parcelId, age } = await oneParcel();
    await open(client, parcelId);
    await age("29 minutes 59 seconds");
    await expect(permitFor(client, parcelId)).rejects.toThrow("no permit: circuit_open");
  });

  test("an answered probe closes it and names the probe", async () => {
    const { client, parcelId, age, circuit, transitions } = await oneParcel();
    await open(client, parcelId);
    await age("31 minutes");
    const probe = await permitFor(client, parcelId);
    await recordLookups(client, [found(probe)], "worker");
    expect(await circuit()).toMatchObject({
      state: "closed",
      consecutive_failures: 0,
      generation: 4,
      cooldown: null,
    });
    expect((await transitions()).at(-1)).toMatchObject({
      move: "half_open → closed",
      lookup_ids: [probe],
    });
  });

  test("each failed probe doubles the cooldown, up to the API's longest", async () => {
    const { fail, parcelId, client, age, circuit } = await oneParcel({
      max_cooldown: "100 minutes",
    });
    await open(client, parcelId);
    const lengths = [];
    for (const by of ["31 minutes", "61 minutes", "101 minutes", "101 minutes"]) {
      await age(by);
      await fail();
      lengths.push((await circuit()).open_for);
    }
    expect(lengths).toEqual(["01:00:00", "01:40:00", "01:40:00", "01:40:00"]);
    expect(await circuit()).toMatchObject({ state: "open", generation: 10 });
  });

  test("after a probe that was answered, the next opening lasts 30 minutes again", async () => {
    const { fail, succeed, parcelId, client, age, circuit } = await oneParcel();
    await open(client, parcelId);
    await age("31 minutes");
    await fail();
    await age("61 minutes");
    await succeed();
    await open(client, parcelId);
    expect(await circuit()).toMatchObject({ state: "open", open_for: "00:30:00" });
  });

  test.each(["rate_limited", "rejected", "out_of_quota", "local"])(
    "a probe that ended as %s tells nothing: open, with the same cooldown, and another may go at once",
    async (outcome) => {
      const { end, parcelId, client, age, circuit } = await oneParcel();
      await open(client, parcelId);
      await age("31 minutes");
      await end(outcome);
      expect(await circuit()).toMatchObject({
        state: "open",
        open_for: "00:00:00",
        cooldown: "00:30:00",
      });
    },
  );

  test("a probe that was not sent makes way for another at once", async () => {
    const { parcelId, client, age, circuit } = await oneParcel();
    await open(client, parcelId);
    await age("31 minutes");
    const unused = await permitFor(client, parcelId);
    expect(await releaseLookups(client, [unused], "late")).toBe(1);
    expect((await circuit()).state).toBe("open");
    expect(await permitFor(client, parcelId)).not.toBe(unused);
    expect(await circuit()).toMatchObject({ state: "half_open", generation: 5 });
  });

  test("a lost probe is swept away and another goes", async () => {
    const { parcelId, client, age, circuit, succeed } = await oneParcel();
    await open(client, parcelId);
    await age("31 minutes");
    const lost = await permitFor(client, parcelId);
    await age("101 seconds");
    await ageLease(client, parcelId, "101 seconds");
    expect(await sweep(client)).toBe(1);
    expect(await circuit()).toMatchObject({ state: "open", generation: 4 });
    await succeed();
    expect(await circuit()).toMatchObject({ state: "closed", generation: 6 });
    // It comes back after all.
    const before = await circuit();
    expect(await recordLookups(client, [failed(lost, "unavailable")], "worker")).toEqual([]);
    expect(await circuit()).toEqual(before);
  });

  test("a probe that hangs past its end is replaced even before its lease is swept", async () => {
    const { client, api, parcelId, age, circuit } = await oneParcel();
    const other = await trackBook(client, api.code);
    await open(client, parcelId);
    await age("31 minutes");
    const third = await trackBook(client, api.code);
    const first = await permitFor(client, other.parcelId);
    await age("101 seconds");
    const second = await permitFor(client, third.parcelId);
    expect(await circuit()).toMatchObject({ state: "half_open", probe_lookup_id: second });
    // The first one's verdict is of an older generation.
    await recordLookups(client, [found(first)], "worker");
    expect(await circuit()).toMatchObject({ state: "half_open", probe_lookup_id: second });
    await recordLookups(client, [found(second)], "worker");
    expect((await circuit()).state).toBe("closed");
  });

  test("a probe whose parcel is stopped makes way for another", async () => {
    const { client, parcelId, bookId, age, circuit } = await oneParcel();
    await open(client, parcelId);
    await age("31 minutes");
    await permitFor(client, parcelId);
    await client.query("select bookpost.stop_tracking($1)", [bookId]);
    expect((await circuit()).state).toBe("open");
  });

  test("a probe whose parcel is deleted is not stuck for ever", async () => {
    const { client, parcelId, age, circuit } = await oneParcel();
    await open(client, parcelId);
    await age("31 minutes");
    await permitFor(client, parcelId);
    await client.query("delete from bookpost.parcels where id = $1", [parcelId]);
    await age("3 minutes");
    await sweep(client);
    expect((await circuit()).state).toBe("open");
    await expectQuiet(client);
  });

  test("a refusal for want of room in flight does not use up the probe", async () => {
    const { client, api, parcelId, age, circuit } = await oneParcel();
    const other = await trackBook(client, api.code);
    await permitFor(client, other.parcelId);
    await open(client, parcelId);
    await age("31 minutes");
    await client.query("update bookpost.carrier_apis set calls_in_flight = 1 where code = $1", [
      api.code,
    ]);
    const before = await circuit();
    await expect(permitFor(client, parcelId)).rejects.toThrow("no permit: no_budget");
    expect(await circuit()).toEqual(before);
  });
});

describe("closed again", () => {
  /** An early lookup of each of two parcels, from before the opening; then open, probed and closed. */
  async function closedAgain() {
    const made = await oneParcel();
    const { client, api, parcelId, age, succeed } = made;
    const early: string[] = [];
    for (let i = 0; i < 2; i++)
      early.push(await permitFor(client, (await trackBook(client, api.code)).parcelId));
    await open(client, parcelId);
    await age("31 minutes");
    await succeed();
    return { ...made, early };
  }

  test("failures of lookups from before the opening are not counted", async () => {
    const { client, early, circuit } = await closedAgain();
    const before = await circuit();
    await recordLookups(
      client,
      early.map((id) => failed(id, "unavailable")),
      "worker",
    );
    expect(await circuit()).toEqual(before);
  });

  test("an answer to a lookup from before the opening does not end a row of failures", async () => {
    const { client, early, fail, circuit } = await closedAgain();
    await fail();
    await fail();
    await recordLookups(client, [found(early[0] ?? "")], "worker");
    expect((await circuit()).consecutive_failures).toBe(2);
  });
});

test("every transition raises the generation by one and is logged under it", async () => {
  const { client, parcelId, age, circuit, transitions, fail, succeed } = await oneParcel();
  await open(client, parcelId);
  await age("31 minutes");
  await fail();
  await age("61 minutes");
  await succeed();
  const moves = await transitions();
  expect(moves.map(({ generation }) => generation)).toEqual([2, 3, 4, 5, 6]);
  expect((await circuit()).generation).toBe(6);
  for (const { lookup_ids } of moves) expect(lookup_ids.length).toBeGreaterThan(0);
});
