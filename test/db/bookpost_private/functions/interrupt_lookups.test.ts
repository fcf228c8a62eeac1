import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { interruptLookups } from "../../../../src/sql/interruptLookups.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { ageCircuit } from "../../../helpers/ageing.ts";
import { circuitOf } from "../../../helpers/circuitOf.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { checkOf } from "../../../helpers/parcelOf.ts";
import { failed, found } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function oneParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client, { failure_threshold: 1 });
  const { parcelId } = await trackBook(client, api.code);
  return { client, api, parcelId };
}

test("a lookup given up is in the ledger, its parcel is due at once, and its call stays counted", async () => {
  const { client, api, parcelId } = await oneParcel();
  const lookupId = await permitFor(client, parcelId);
  expect(await interruptLookups(client, [lookupId], "the sky fell")).toBe(1);
  expect(
    await one(client, "select outcome, error_message from bookpost_private.lookups where id = $1", [
      lookupId,
    ]),
  ).toEqual({ outcome: "interrupted", error_message: "the sky fell" });
  expect(
    await one(client, "select day_calls from bookpost_private.budgets where api_code = $1", [
      api.code,
    ]),
  ).toEqual({ day_calls: 1 });
  expect(await checkOf(client, parcelId)).toMatchObject({ last_outcome: "interrupted" });
  expect(await recordLookups(client, [found(lookupId)], "worker")).toEqual([]);
  await permitFor(client, parcelId);
});

test("a lookup that is recorded, was given up or never was: nothing changes", async () => {
  const { client, parcelId } = await oneParcel();
  const recorded = await lookUp(client, parcelId, (id) => found(id));
  const before = await tableDigests(client);
  expect(await interruptLookups(client, [recorded?.lookupId ?? "", randomUUID()], "late")).toBe(0);
  expect(await tableDigests(client)).toEqual(before);
});

test("what was set aside meanwhile stays set aside", async () => {
  const { client, parcelId } = await oneParcel();
  const lookupId = await permitFor(client, parcelId);
  await client.query(
    "update bookpost_private.checks set next_check_at = null, pause_reason = 'quarantined', last_error = 'a bug' where parcel_id = $1",
    [parcelId],
  );
  expect(await interruptLookups(client, [lookupId], "late")).toBe(1);
  expect(await checkOf(client, parcelId)).toMatchObject({
    pause_reason: "quarantined",
    last_error: "a bug",
  });
});

test("a probe given up makes way for another", async () => {
  const { client, api, parcelId } = await oneParcel();
  await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
  await ageCircuit(client, api.code, "31 minutes");
  const probe = await permitFor(client, parcelId);
  await interruptLookups(client, [probe], "late");
  expect((await circuitOf(client, api.code)).state).toBe("open");
  await permitFor(client, parcelId);
  expect((await circuitOf(client, api.code)).state).toBe("half_open");
});
