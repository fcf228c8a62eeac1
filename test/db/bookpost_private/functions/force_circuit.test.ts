import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageCircuit } from "../../../helpers/ageing.ts";
import { circuitOf, transitionsOf } from "../../../helpers/circuitOf.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { tryOut } from "../../../helpers/refusal.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

const FORCE = "select bookpost_private.force_circuit($1, $2, $3, $4, $5)";

async function oneParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const { parcelId } = await trackBook(client, api.code);
  return { client, api, parcelId };
}

async function force(client: ClientBase, code: string, state: string, hold = "2 hours") {
  await client.query(FORCE, [code, state, "ann", "maintenance", hold]);
}

test("forced open, nobody gets a permit, and the log names who and why", async () => {
  const { client, api, parcelId } = await oneParcel();
  await force(client, api.code, "open");
  await expect(permitFor(client, parcelId)).rejects.toThrow("no permit: circuit_open");
  expect(await circuitOf(client, api.code)).toMatchObject({
    state: "open",
    is_forced: true,
    open_for: "02:00:00",
  });
  expect(await transitionsOf(client, api.code)).toMatchObject([
    { move: "closed → open", generation: 2, author: "ann", reason: "maintenance" },
  ]);
});

test("forced open, an answer that is still to come does not close it", async () => {
  const { client, api, parcelId } = await oneParcel();
  const early = await permitFor(client, parcelId);
  await force(client, api.code, "open");
  await client.query(
    "update bookpost_private.leases set generation = (select generation from bookpost.carrier_circuits where api_code = $1)",
    [api.code],
  );
  await recordLookups(client, [found(early)], "worker");
  expect(await circuitOf(client, api.code)).toMatchObject({ state: "open", is_forced: true });
});

test("forced closed, failures do not open it", async () => {
  const { client, api, parcelId } = await oneParcel();
  await force(client, api.code, "closed");
  for (let i = 0; i < 5; i++) await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
  expect(await circuitOf(client, api.code)).toMatchObject({ state: "closed", is_forced: true });
});

test("a hold that has run out ends by itself: closed goes on counting", async () => {
  const { client, api, parcelId } = await oneParcel();
  await force(client, api.code, "closed");
  await ageCircuit(client, api.code, "119 minutes");
  await sweep(client);
  expect((await circuitOf(client, api.code)).is_forced).toBe(true);
  await ageCircuit(client, api.code, "2 minutes");
  await sweep(client);
  expect(await circuitOf(client, api.code)).toMatchObject({
    state: "closed",
    is_forced: false,
    generation: 3,
  });
  for (let i = 0; i < 3; i++) await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
  expect((await circuitOf(client, api.code)).state).toBe("open");
});

test("a hold that has run out ends by itself: open lets a probe through, with the API's own cooldown", async () => {
  const { client, api, parcelId } = await oneParcel();
  await force(client, api.code, "open");
  await ageCircuit(client, api.code, "121 minutes");
  await sweep(client);
  expect(await circuitOf(client, api.code)).toMatchObject({
    state: "open",
    is_forced: false,
    cooldown: "00:30:00",
  });
  await lookUp(client, parcelId, (id) => found(id));
  expect((await circuitOf(client, api.code)).state).toBe("closed");
});

test("a hold that has run out and was not swept yet lets a probe through as well", async () => {
  const { client, api, parcelId } = await oneParcel();
  await force(client, api.code, "open");
  await ageCircuit(client, api.code, "121 minutes");
  await lookUp(client, parcelId, (id) => found(id));
  expect(await circuitOf(client, api.code)).toMatchObject({ state: "closed", is_forced: false });
});

test("reset closes it, ends the waiting and the parking", async () => {
  const { client, api, parcelId } = await oneParcel();
  await force(client, api.code, "open");
  await client.query(
    `update bookpost_private.budgets set not_before = now() + interval '1 day', not_before_reason = 'rate_limited',
       parked_at = now(), parked_reason = 'REJECTED', parked_fingerprint = 'x' where api_code = $1`,
    [api.code],
  );
  await force(client, api.code, "reset");
  expect(await circuitOf(client, api.code)).toMatchObject({ state: "closed", is_forced: false });
  await permitFor(client, parcelId);
});

test("forcing a half-open circuit takes the verdict out of the probe's hands", async () => {
  const { client, api, parcelId } = await oneParcel();
  for (let i = 0; i < 3; i++) await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
  await ageCircuit(client, api.code, "31 minutes");
  const probe = await permitFor(client, parcelId);
  await force(client, api.code, "closed");
  await recordLookups(client, [failed(probe, "unavailable")], "worker");
  expect(await circuitOf(client, api.code)).toMatchObject({
    state: "closed",
    is_forced: true,
    consecutive_failures: 0,
  });
});

test.each([
  ["an API that does not exist", ["hermes", "open", "ann", "why", "1 hour"], "BP404"],
  ["no API", [null, "open", "ann", "why", "1 hour"], "BP404"],
  ["a state that does not exist", [undefined, "ajar", "ann", "why", "1 hour"], "BP400"],
  ["half open", [undefined, "half_open", "ann", "why", "1 hour"], "BP400"],
  ["no state", [undefined, null, "ann", "why", "1 hour"], "BP400"],
  ["a hold of nothing", [undefined, "open", "ann", "why", "0"], "BP400"],
  ["a hold backwards", [undefined, "open", "ann", "why", "-1 hour"], "BP400"],
  ["a hold of 31 days", [undefined, "open", "ann", "why", "31 days"], "BP400"],
  ["an endless hold", [undefined, "closed", "ann", "why", "infinity"], "BP400"],
  ["no hold", [undefined, "closed", "ann", "why", null], "BP400"],
  ["nobody", [undefined, "open", null, "why", "1 hour"], "BP400"],
  ["a blank author", [undefined, "open", " ", "why", "1 hour"], "BP400"],
  ["no reason", [undefined, "open", "ann", null, "1 hour"], "BP400"],
])("a circuit cannot be forced with %s", async (_, [code, ...rest], sqlstate) => {
  const { client, api } = await oneParcel();
  const before = await circuitOf(client, api.code);
  expect(
    await tryOut(client, FORCE, [code === undefined ? api.code : code, ...rest]),
  ).toMatchObject({ code: sqlstate });
  expect(await circuitOf(client, api.code)).toEqual(before);
});
