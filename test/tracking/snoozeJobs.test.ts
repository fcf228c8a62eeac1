import { expect, test } from "vitest";
import { snoozeJobs } from "../../src/sql/snoozeJobs.ts";
import { rolledBack } from "../helpers/database.ts";
import { testDatabase } from "../helpers/testDatabase.ts";

const db = testDatabase();

const job = (key: string, ms: number) => ({
  task_identifier: "track_book",
  payload: { parcelId: key },
  key,
  max_attempts: 3,
  ms,
});

test("jobs that are put off come back under their keys, each at its own time, with all their attempts", async () => {
  const client = await rolledBack(db);
  // Its clock stands still in a transaction for now(), not for the time that counts.
  const { rows: clock } = await client.query<{ now: Date }>("select clock_timestamp() as now");
  await snoozeJobs(client, [job("a", 10_000), job("b", 50_000), job("c", -5)]);
  const { rows } = await client.query<{ key: string; after: number }>(
    `select key, task_identifier, attempts, max_attempts, round(extract(epoch from run_at - $1))::integer as after
     from graphile_worker.jobs where key in ('a', 'b', 'c') order by key`,
    [clock[0]?.now],
  );
  expect(rows).toEqual(
    [
      ["a", 10],
      ["b", 50],
      ["c", 0],
    ].map(([key, after]) => ({
      key,
      task_identifier: "track_book",
      attempts: 0,
      max_attempts: 3,
      after,
    })),
  );
});

test("the job that runs ends as done and takes nothing of the new one's with it", async () => {
  const client = await rolledBack(db);
  const { rows: running } = await client.query<{ id: string }>(
    "select id from graphile_worker.add_job('track_book', '{}', job_key => 'a')",
  );
  const [id] = running.map((row) => row.id);
  await client.query(
    "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'worker', attempts = 1 where id = $1",
    [id],
  );
  await snoozeJobs(client, [job("a", 1_000)]);
  // What the queue does at a job's end.
  await client.query("delete from graphile_worker._private_jobs where id = $1", [id]);
  const { rows } = await client.query(
    "select locked_by, attempts from graphile_worker.jobs where key = 'a'",
  );
  expect(rows).toEqual([{ locked_by: null, attempts: 0 }]);
});
