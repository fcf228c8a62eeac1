import type { JobHelpers } from "graphile-worker";

/**
 * Puts the running job off by `ms` of the database's clock: a new job under its
 * key, since the queue knows only success and failure, and waiting is neither.
 * The running one then ends as done. Commits.
 */
export async function snooze(helpers: JobHelpers, ms: number): Promise<void> {
  const { job } = helpers;
  await helpers.query(
    `select graphile_worker.add_job($1, payload => $2::json, max_attempts => $3, job_key => $4,
       run_at => clock_timestamp() + make_interval(secs => $5::double precision / 1000))`,
    [job.task_identifier, JSON.stringify(job.payload), job.max_attempts, job.key, Math.max(0, ms)],
  );
}
