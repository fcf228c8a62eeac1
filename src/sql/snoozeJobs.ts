import type { Queryable } from "../db/withTransaction.ts";

/** A running job that is to come back after `ms`. */
export interface SnoozedJob {
  readonly task_identifier: string;
  readonly payload: unknown;
  readonly key: string | null;
  readonly max_attempts: number;
  readonly ms: number;
}

/**
 * Puts running jobs off, by the database's clock: a new job under each one's
 * key, since the queue knows only success and failure, and waiting is neither.
 * The running ones then end as done. One commit for all: each of them is a
 * NOTIFY, and Postgres commits one NOTIFY at a time. Commits.
 */
export async function snoozeJobs(db: Queryable, jobs: readonly SnoozedJob[]): Promise<void> {
  await db.query(
    `select graphile_worker.add_jobs(array(
      select (
        j.task_identifier, j.payload, null, clock_timestamp() + make_interval(secs => greatest(0, j.ms) / 1000),
        j.max_attempts, j.key, null, null
      )::graphile_worker.job_spec
      from json_to_recordset($1::json) j (
        task_identifier text, payload json, key text, max_attempts integer, ms double precision
      )
    ))`,
    [JSON.stringify(jobs)],
  );
}
