import type { ClientBase } from "pg";
import { expect, test } from "vitest";
import { rolledBack } from "../../../helpers/database.ts";
import { one } from "../../../helpers/one.ts";
import { openClient } from "../../../helpers/openClient.ts";
import { addLockedJob, holdersOf } from "../../../helpers/queueJobs.ts";
import { testDatabase } from "../../../helpers/testDatabase.ts";
import { testRule } from "../../../helpers/testRule.ts";
import { untilItWaits } from "../../../helpers/untilItWaits.ts";

const db = testDatabase();

const FREE = "bookpost_private.free_jobs";
const TRACK = { task: "track_book", workerId: "a", lockedFor: "1 minute" };

/** Frees what worker `a` locked `before` ago, but for `kept`. */
async function freeJobs(
  client: ClientBase,
  options: { readonly before?: string; readonly kept?: readonly string[] } = {},
): Promise<number> {
  const { count } = await one<{ count: number }>(
    client,
    "select bookpost_private.free_jobs('{a}', clock_timestamp() - $1::interval, $2) as count",
    [options.before ?? "10 seconds", options.kept ?? []],
  );
  return count;
}

testRule(
  db,
  "only what those workers locked before that time, and that is not to be kept, is freed",
  async (client) => {
    const old = await addLockedJob(client, TRACK);
    const young = await addLockedJob(client, { ...TRACK, lockedFor: "5 seconds" });
    const kept = await addLockedJob(client, TRACK);
    const others = await addLockedJob(client, { ...TRACK, workerId: "b" });
    const waiting = await addLockedJob(client, { task: "track_book" });
    expect(await freeJobs(client, { kept: [kept] })).toBe(1);
    expect(await holdersOf(client, old, young, kept, others, waiting)).toEqual([
      "nobody 0",
      "a 1",
      "a 1",
      "b 1",
      "nobody 0",
    ]);
  },
  {
    "young locks are freed": {
      function: FREE,
      from: "where j.locked_by = any (worker_ids) and j.locked_at < locked_before",
      to: "where j.locked_by = any (worker_ids)",
    },
    "the list is not read": { function: FREE, from: "and not (j.id = any (kept_ids))", to: "" },
    "whose they are is not asked": {
      function: FREE,
      from: "where j.locked_by = any (worker_ids) and",
      to: "where",
    },
  },
);

testRule(
  db,
  "a lookup's or message's attempt is given back, another task's is spent",
  async (client) => {
    const lookup = await addLockedJob(client, TRACK);
    const email = await addLockedJob(client, { ...TRACK, task: "send_email" });
    const dispatch = await addLockedJob(client, { ...TRACK, task: "dispatch" });
    expect(await freeJobs(client)).toBe(3);
    expect(await holdersOf(client, lookup, email, dispatch)).toEqual([
      "nobody 0",
      "nobody 0",
      "nobody 1",
    ]);
  },
  {
    "every attempt is given back": {
      function: FREE,
      from: "where t.identifier in ('track_book', 'send_email', 'send_sms', 'send_webhook')",
      to: "",
    },
    "none is": { function: FREE, from: "j.attempts > 0 and", to: "false and" },
  },
);

testRule(
  db,
  "a freed job is due now, not when it was due first, and one that is due later stays so",
  async (client) => {
    const due = await addLockedJob(client, TRACK);
    const later = await addLockedJob(client, TRACK);
    await client.query(
      "update graphile_worker._private_jobs set run_at = now() + case when id = $1 then interval '-1 day' else '1 day' end",
      [due],
    );
    await freeJobs(client);
    const { rows } = await client.query(
      "select run_at - now() as wait from graphile_worker.jobs where id = any ($1) order by id",
      [[due, later]],
    );
    expect(rows.map(({ wait }) => String(wait.days ?? 0))).toEqual(["0", "1"]);
  },
  {
    "the old time stays": {
      function: FREE,
      from: "run_at = greatest(j.run_at, now())",
      to: "run_at = j.run_at",
    },
  },
);

testRule(
  db,
  "a queue whose job was freed is free, and one whose job was kept is not",
  async (client) => {
    await addLockedJob(client, { ...TRACK, queue: "one" });
    const kept = await addLockedJob(client, { ...TRACK, queue: "two" });
    await freeJobs(client, { kept: [kept] });
    const { rows } = await client.query(
      "select queue_name, locked_by from graphile_worker._private_job_queues order by queue_name",
    );
    expect(rows).toEqual([
      { queue_name: "one", locked_by: null },
      { queue_name: "two", locked_by: "a" },
    ]);
  },
  {
    "queues are forgotten": {
      function: FREE,
      from: "where q.locked_by = any (worker_ids)",
      to: "where false and q.locked_by = any (worker_ids)",
    },
    "queues are freed with a job in hand": {
      function: FREE,
      from: "where j.job_queue_id = q.id and j.locked_at is not null",
      to: "where false",
    },
  },
);

test("a lock that the same pool has taken anew since the look is kept, though the look said otherwise", async () => {
  const id = await addLockedJob(db.pool, TRACK);
  const { now } = await one<{ now: string }>(db.pool, "select clock_timestamp()::text as now");
  const [pool, sweeper] = [await openClient(db.url), await openClient(db.url)];
  await pool.query("begin");
  // Thought dead, it wakes: it gives the job back and takes it again.
  await pool.query("update graphile_worker._private_jobs set locked_at = now() where id = $1", [
    id,
  ]);
  const freeing = sweeper.query("select bookpost_private.free_jobs('{a}', $1) as count", [now]);
  await untilItWaits(db.pool, sweeper, freeing);
  await pool.query("commit");
  expect((await freeing).rows).toEqual([{ count: 0 }]);
  expect(await holdersOf(db.pool, id)).toEqual(["a 1"]);
});

test("of two who free the same job at once one does, and gives one attempt back", async () => {
  const id = await addLockedJob(db.pool, TRACK);
  await db.pool.query("update graphile_worker._private_jobs set attempts = 2 where id = $1", [id]);
  const [first, second] = [await openClient(db.url), await openClient(db.url)];
  await first.query("begin");
  expect(await freeJobs(first)).toBe(1);
  const freeing = freeJobs(second);
  await untilItWaits(db.pool, second, freeing);
  await first.query("commit");
  expect(await freeing).toBe(0);
  expect(await holdersOf(db.pool, id)).toEqual(["nobody 1"]);
});

test("the queue's tables are those that free_jobs was written for", async () => {
  const client = await rolledBack(db);
  const { rows } = await client.query<{ column: string }>(
    `select format('%s.%s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       case a.attgenerated when 's' then ' generated' else '' end) as column
     from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.relnamespace = 'graphile_worker'::regnamespace and a.attnum > 0 and not a.attisdropped
       and c.relname in ('_private_jobs', '_private_job_queues', '_private_tasks', '_private_known_crontabs')
     order by c.relname, a.attnum`,
  );
  // Another column may be one that freeing has to set: read what the queue's upgrade does with it, then list it here.
  expect(rows.map(({ column }) => column)).toEqual([
    "_private_job_queues.id integer",
    "_private_job_queues.queue_name text",
    "_private_job_queues.locked_at timestamp with time zone",
    "_private_job_queues.locked_by text",
    "_private_job_queues.is_available boolean generated",
    "_private_jobs.id bigint",
    "_private_jobs.job_queue_id integer",
    "_private_jobs.task_id integer",
    "_private_jobs.payload json",
    "_private_jobs.priority smallint",
    "_private_jobs.run_at timestamp with time zone",
    "_private_jobs.attempts smallint",
    "_private_jobs.max_attempts smallint",
    "_private_jobs.last_error text",
    "_private_jobs.created_at timestamp with time zone",
    "_private_jobs.updated_at timestamp with time zone",
    "_private_jobs.key text",
    "_private_jobs.locked_at timestamp with time zone",
    "_private_jobs.locked_by text",
    "_private_jobs.revision integer",
    "_private_jobs.flags jsonb",
    "_private_jobs.is_available boolean generated",
    "_private_known_crontabs.identifier text",
    "_private_known_crontabs.known_since timestamp with time zone",
    "_private_known_crontabs.last_execution timestamp with time zone",
    "_private_tasks.id integer",
    "_private_tasks.identifier text",
  ]);
});
