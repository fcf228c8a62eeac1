import type { Queryable } from "../db/withTransaction.ts";

/** A running job that is to come back. */
export interface SnoozedJob {
  readonly task_identifier: string;
  readonly payload: unknown;
  readonly key: string | null;
  readonly max_attempts: number;
  readonly until: Date;
}

/**
 * Puts running jobs off: a new job under each one's key, since the queue knows only success and failure, and waiting
 * is neither. The running ones then end as done. One commit for all: each is a NOTIFY, and Postgres lets one
 * transaction at a time commit a NOTIFY. Commits.
 */
export async function snoozeJobs(db: Queryable, jobs: readonly SnoozedJob[]): Promise<void> {
  const specs = jobs.map((job) => ({
    identifier: job.task_identifier,
    payload: job.payload,
    run_at: job.until,
    max_attempts: job.max_attempts,
    job_key: job.key,
  }));
  await db.query(
    `select graphile_worker.add_jobs(array(
      select s from json_populate_recordset(null::graphile_worker.job_spec, $1::json) s
    ))`,
    [JSON.stringify(specs)],
  );
}
