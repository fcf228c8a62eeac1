import type { Queryable } from "../../src/db/withTransaction.ts";
import { one } from "./one.ts";

export interface LockedJob {
  readonly task: string;
  /** Left out: nobody has it. */
  readonly workerId?: string;
  /** Since when: "9 seconds" ago. */
  readonly lockedFor?: string;
  readonly key?: string;
  readonly queue?: string;
}

/** Puts a job into the queue and has a worker take it, as the queue's own claim marks it: with its attempt, and its queue locked. Its id. */
export async function addLockedJob(db: Queryable, job: LockedJob): Promise<string> {
  const { task, workerId = null, lockedFor = "0", key = null, queue = null } = job;
  const { id } = await one<{ id: string }>(
    db,
    "select id from graphile_worker.add_job($1, job_key => $2, queue_name => $3, max_attempts => 3)",
    [task, key, queue],
  );
  if (workerId === null) return id;
  await db.query(
    `with job as (
       update graphile_worker._private_jobs
       set locked_by = $2, locked_at = clock_timestamp() - $3::interval, attempts = 1
       where id = $1 returning job_queue_id, locked_by, locked_at
     )
     update graphile_worker._private_job_queues q set locked_by = job.locked_by, locked_at = job.locked_at
     from job where job.job_queue_id = q.id`,
    [id, workerId, lockedFor],
  );
  return id;
}

/** Who has each of these jobs, and how often it was begun: "worker 1", "nobody 0". */
export async function holdersOf(db: Queryable, ...ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ held: string }>(
    `select coalesce(j.locked_by, 'nobody') || ' ' || j.attempts as held
     from unnest($1::bigint[]) with ordinality w (id, place)
     left join graphile_worker.jobs j using (id) order by w.place`,
    [ids],
  );
  return rows.map(({ held }) => held);
}
