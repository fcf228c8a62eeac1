import type { JobHelpers } from "graphile-worker";

/**
 * Puts the running job off until `until`: a new job under its key, since the
 * queue knows only success and failure, and waiting is neither. The running one
 * then ends as done. Commits.
 */
export async function snooze(helpers: JobHelpers, until: Date): Promise<void> {
  const { job } = helpers;
  await helpers.addJob(job.task_identifier as never, job.payload as never, {
    runAt: until,
    maxAttempts: job.max_attempts,
    ...(job.key === null ? {} : { jobKey: job.key }),
  });
}
