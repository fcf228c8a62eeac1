import { describe, expect, test } from "vitest";
import { dispatch } from "../../../../src/sql/dispatch.ts";
import { recordLookups } from "../../../../src/sql/recordLookups.ts";
import { signOff } from "../../../../src/sql/signOff.ts";
import { sweep } from "../../../../src/sql/sweep.ts";
import { ageBeat, ageLease, outlive } from "../../../helpers/ageing.ts";
import { rolledBack } from "../../../helpers/database.ts";
import { jobsOf, lockJob } from "../../../helpers/jobsOf.ts";
import { permitFor } from "../../../helpers/lookUp.ts";
import { beatFor, makeApi } from "../../../helpers/makeApi.ts";
import { one } from "../../../helpers/one.ts";
import { checkOf } from "../../../helpers/parcelOf.ts";
import { found } from "../../../helpers/reports.ts";
import { tableDigests } from "../../../helpers/tableDigests.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { trackBook } from "../../../helpers/trackBook.ts";

const db = testDatabase();

/** A worker with a job locked and its lookup under way; a second worker lives. */
async function oneUnderWay() {
  const client = await rolledBack(db);
  const api = await makeApi(client);
  const other = { code: api.code, workerId: `${api.workerId}_2` };
  await beatFor(client, other);
  const { parcelId } = await trackBook(client, api.code);
  await dispatch(client);
  await lockJob(client, parcelId, api.workerId);
  const lookupId = await permitFor(client, parcelId, api.workerId);
  await client.query("delete from graphile_worker._private_jobs where key like 'dispatch%'");
  return { client, api, other, parcelId, lookupId };
}

describe("a worker that stopped beating", () => {
  test("loses its lookup: closed as interrupted in the ledger, the parcel due at once, the job free, dispatch woken", async () => {
    const { client, api, parcelId, lookupId } = await oneUnderWay();
    await outlive(client, api.workerId);
    expect(await sweep(client)).toBe(1);

    expect(
      await one(
        client,
        "select outcome, error_code, worker_id, calls from bookpost_private.lookups where id = $1",
        [lookupId],
      ),
    ).toEqual({
      outcome: "interrupted",
      error_code: "CRASHED",
      worker_id: api.workerId,
      calls: 0,
    });
    expect(await checkOf(client, parcelId)).toMatchObject({ last_outcome: "interrupted" });
    expect(await jobsOf(client, parcelId)).toMatchObject([{ locked_by: null, attempts: 0 }]);
    expect(
      await one(
        client,
        "select count(*)::integer as wakes from graphile_worker.jobs where task_identifier = 'dispatch'",
      ),
    ).toEqual({ wakes: 1 });
    await permitFor(client, parcelId);
  });

  test("loses it even where only its beat is late and it lives: its answer is then stale", async () => {
    const { client, api, lookupId } = await oneUnderWay();
    await outlive(client, api.workerId);
    await sweep(client);
    await beatFor(client, api);
    expect(await recordLookups(client, [found(lookupId)], api.workerId)).toEqual([]);
    expect(
      await one(client, "select stale_results from bookpost_private.workers where id = $1", [
        api.workerId,
      ]),
    ).toEqual({ stale_results: 1 });
  });

  test("is forgotten, and takes nothing of the living with it", async () => {
    const { client, api, other } = await oneUnderWay();
    const { parcelId } = await trackBook(client, api.code);
    await dispatch(client);
    await lockJob(client, parcelId, other.workerId);
    await permitFor(client, parcelId, other.workerId);
    await outlive(client, api.workerId);
    expect(await sweep(client)).toBe(1);
    expect(await jobsOf(client, parcelId)).toMatchObject([{ locked_by: other.workerId }]);
    expect((await client.query("select worker_id from bookpost_private.leases")).rows).toEqual([
      { worker_id: other.workerId },
    ]);
    expect(
      (await client.query("select id from bookpost_private.workers where id <> 'witness'")).rows,
    ).toEqual([{ id: other.workerId }]);
  });
});

test("a lookup that began just before its worker died is freed together with its job", async () => {
  const { client, api } = await oneUnderWay();
  await ageBeat(client, api.workerId, "9 seconds");
  expect(await sweep(client)).toBe(1);
});

test("four seconds without a beat are not death", async () => {
  const { client, api } = await oneUnderWay();
  await ageBeat(client, api.workerId, "4 seconds");
  const before = await tableDigests(client);
  expect(await sweep(client)).toBe(0);
  expect(await tableDigests(client)).toEqual(before);
});

test("with nothing to free it changes nothing, however often it runs", async () => {
  const { client } = await oneUnderWay();
  const before = await tableDigests(client);
  for (let i = 0; i < 5; i++) expect(await sweep(client)).toBe(0);
  expect(await tableDigests(client)).toEqual(before);
});

test("a lease past its end is given up though its worker lives", async () => {
  const { client, parcelId } = await oneUnderWay();
  await ageLease(client, parcelId, "101 seconds");
  expect(await sweep(client)).toBe(1);
  expect((await client.query("select from bookpost_private.leases")).rows).toEqual([]);
});

test("a worker that signed off with a lookup under way is as good as dead", async () => {
  const { client, api, parcelId } = await oneUnderWay();
  await signOff(client, api.workerId);
  expect(await sweep(client)).toBe(0);
  // It might just not have beaten yet; after 8 seconds it would have.
  await ageLease(client, parcelId, "9 seconds");
  expect(await sweep(client)).toBe(1);
});

test("a worker that died before its first beat loses its jobs at the next dispatch", async () => {
  const { client, parcelId } = await oneUnderWay();
  await lockJob(client, parcelId, "worker-that-never-beat", "9 seconds");
  await dispatch(client);
  expect(await jobsOf(client, parcelId)).toMatchObject([{ locked_by: null }]);
});

test("another program's jobs in the same queue are none of its business", async () => {
  const { client } = await oneUnderWay();
  await client.query("select graphile_worker.add_job('send_invoices')");
  await client.query(
    `update graphile_worker._private_jobs j set locked_by = 'somebody else', locked_at = now() - interval '1 hour'
     from graphile_worker._private_tasks t where t.id = j.task_id and t.identifier = 'send_invoices'`,
  );
  await sweep(client);
  expect(
    await one(
      client,
      "select locked_by from graphile_worker.jobs where task_identifier = 'send_invoices'",
    ),
  ).toEqual({ locked_by: "somebody else" });
});
