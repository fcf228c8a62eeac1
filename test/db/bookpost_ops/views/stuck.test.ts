import { expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageCircuit, ageLease } from "../../../helpers/ageing.ts";
import { testThatAllIsQuiet } from "../../../helpers/allIsQuiet.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { lockJob } from "../../../helpers/jobsOf.ts";
import { lookUp, permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { failed } from "../../../helpers/reports.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function oneParcel() {
  const client = await rolledBack(db);
  const api = await makeApi(client, { failure_threshold: 1 });
  const { parcelId, number } = await trackBook(client, api.code);
  const stuck = async () =>
    (await client.query<{ kind: string }>("select * from bookpost_ops.stuck")).rows.map(
      ({ kind }) => kind,
    );
  return { client, api, parcelId, number, stuck };
}

test("a lease ten seconds past its end is listed, and gone after a sweep", async () => {
  const { client, api, parcelId, stuck } = await oneParcel();
  // Its worker lives: it is the lease itself that ends.
  await permitFor(client, parcelId, api.workerId);
  await ageLease(client, parcelId, "100 seconds");
  expect(await stuck()).toEqual([]);
  await ageLease(client, parcelId, "11 seconds");
  expect(await stuck()).toEqual(["lease"]);
  await sweep(client);
  expect(await stuck()).toEqual([]);
});

test("a schedule that nobody keeps is listed while workers live, and gone after a dispatch", async () => {
  const { client, stuck } = await oneParcel();
  await client.query(
    "update bookpost_private.dispatch_clock set dispatched_at = now() - interval '4 minutes'",
  );
  // Who has just started may yet keep it.
  expect(await stuck()).toEqual([]);
  await client.query(
    "update bookpost_private.workers set beating_since = now() - interval '4 minutes'",
  );
  expect(await stuck()).toEqual(["dispatch"]);
  await dispatch(client);
  expect(await stuck()).toEqual([]);
});

test("a probe ten seconds past its end is listed, and gone after a sweep", async () => {
  const { client, api, parcelId, stuck } = await oneParcel();
  await lookUp(client, parcelId, (id) => failed(id, "unavailable"));
  await ageCircuit(client, api.code, "31 minutes");
  await permitFor(client, parcelId);
  await client.query("delete from bookpost_private.leases");
  await ageCircuit(client, api.code, "111 seconds");
  expect(await stuck()).toEqual(["probe"]);
  await sweep(client);
  expect(await stuck()).toEqual([]);
});

test("a job held by a worker that does not live is listed, and free after the next dispatch", async () => {
  const { client, api, parcelId, stuck } = await oneParcel();
  await dispatch(client);
  await lockJob(client, parcelId, "nobody", "11 seconds");
  expect(await stuck()).toEqual(["job"]);
  await dispatch(client);
  expect(await stuck()).toEqual([]);
  await lockJob(client, parcelId, api.workerId, "11 seconds");
  expect(await stuck()).toEqual([]);
});

test("a live parcel without a check is listed, and gone when someone tracks it", async () => {
  const { client, api, parcelId, number, stuck } = await oneParcel();
  await client.query("delete from bookpost_private.checks where parcel_id = $1", [parcelId]);
  expect(await stuck()).toEqual(["parcel"]);
  await trackBook(client, api.code, { number });
  expect(await stuck()).toEqual([]);
});

testThatAllIsQuiet(db);
