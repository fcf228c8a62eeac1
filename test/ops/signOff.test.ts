import { expect, test } from "vitest";
import { signOff } from "../../src/sql/signOff.ts";
import { rolledBack } from "../helpers/database.ts";
import { makeWorker, workerIds } from "../helpers/makeWorker.ts";
import { addLockedJob, holdersOf } from "../helpers/queueJobs.ts";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

test("who signs off is no worker any more, and nothing is left locked for it; others keep what they have", async () => {
  const client = await rolledBack(db);
  await makeWorker(client, "a");
  await makeWorker(client, "b");
  const job = { task: "track_book", lockedFor: "1 millisecond" };
  const own = await addLockedJob(client, { ...job, workerId: "a" });
  const queued = await addLockedJob(client, { ...job, workerId: "a", queue: "email" });
  const others = await addLockedJob(client, { ...job, workerId: "b" });
  expect(await signOff(client, "a")).toBe(2);
  expect(await holdersOf(client, own, queued, others)).toEqual(["nobody 0", "nobody 0", "b 1"]);
  const { rows } = await client.query(
    "select locked_by from graphile_worker._private_job_queues where locked_by is not null",
  );
  expect(rows).toEqual([]);
  expect(await workerIds(client)).toEqual(["b"]);
});
