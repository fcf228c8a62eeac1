import { expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { failJobForGood, jobsOf } from "../../../helpers/jobsOf.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import { checkOf } from "../../../helpers/parcelOf.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

async function oneFailed(lastError?: string) {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const { parcelId } = await trackBook(client, api.code);
  await failJobForGood(client, parcelId, lastError);
  return { client, api, parcelId };
}

test("a parcel whose job failed for good is set aside, visibly, and not dispatched again", async () => {
  const { client, parcelId } = await oneFailed("TypeError: x is undefined");
  await dispatch(client);
  await dispatch(client);
  expect(await checkOf(client, parcelId)).toMatchObject({
    next_check_at: null,
    pause_reason: "quarantined",
    last_error: "TypeError: x is undefined",
  });
  expect(
    await one(client, "select reason, last_error from bookpost_ops.why where parcel_id = $1", [
      parcelId,
    ]),
  ).toEqual({ reason: "quarantined", last_error: "TypeError: x is undefined" });
  expect(await jobsOf(client, parcelId)).toMatchObject([{ attempts: 3 }]);
  await expect(permitFor(client, parcelId)).rejects.toThrow("no permit: quarantined");
});

test("others go on", async () => {
  const { client, api } = await oneFailed();
  const { parcelId } = await trackBook(client, api.code);
  await dispatch(client);
  expect(await jobsOf(client, parcelId)).toMatchObject([{ attempts: 0 }]);
});

test("an endless error is kept in part", async () => {
  const { client, parcelId } = await oneFailed("x".repeat(100_000));
  await dispatch(client);
  expect((await checkOf(client, parcelId)).last_error).toHaveLength(500);
});

test("a job whose key only looks like a parcel's does no harm", async () => {
  const { client } = await oneFailed();
  for (const key of [
    "parcel:------------------------------------",
    "parcel:zzzzzzzz-0000-0000-0000-000000000000",
    "parcel:",
    "parcel",
  ]) {
    await client.query("select graphile_worker.add_job('track_book', job_key => $1)", [key]);
    await client.query(
      "select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker.jobs where key = $1), 'x')",
      [key],
    );
  }
  await dispatch(client);
  await client.query("select * from bookpost_ops.why");
  await client.query("select * from bookpost_ops.stuck");
});

test("a parcel that someone holds at that moment is set aside by the next dispatch, and not queued meanwhile", async () => {
  const api = await makeApi(db.pool);
  const { parcelId } = await trackBook(db.pool, api.code);
  await failJobForGood(db.pool, parcelId);
  const holder = await openClient(db.url);
  await holder.query("begin");
  await holder.query("select from bookpost_private.checks where parcel_id = $1 for update", [
    parcelId,
  ]);
  await dispatch(db.pool);
  expect(await jobsOf(db.pool, parcelId)).toMatchObject([{ attempts: 3 }]);
  await holder.query("rollback");
  await dispatch(db.pool);
  expect((await checkOf(db.pool, parcelId)).pause_reason).toBe("quarantined");
});
