import type { Queryable } from "../../src/db/withTransaction.ts";

export interface QueuedJob {
  readonly key: string | null;
  readonly payload: unknown;
  readonly run_at: Date;
  readonly attempts: number;
  readonly max_attempts: number;
  readonly locked_by: string | null;
}

/** The `track_book` jobs of these parcels, soonest first. Payloads are read where the queue keeps them: its view leaves them out. */
export async function jobsOf(db: Queryable, ...parcelIds: readonly string[]): Promise<QueuedJob[]> {
  const { rows } = await db.query<QueuedJob>(
    `select j.key, p.payload, j.run_at, j.attempts::integer, j.max_attempts::integer, j.locked_by
     from graphile_worker.jobs j join graphile_worker._private_jobs p using (id)
     where j.task_identifier = 'track_book' and j.key = any (select 'parcel:' || unnest($1::uuid[]))
     order by j.run_at, j.id`,
    [parcelIds],
  );
  return rows;
}

/** A worker has taken this parcel's job, as the queue's own claim marks it; `ago` since then. */
export async function lockJob(
  db: Queryable,
  parcelId: string,
  workerId: string,
  ago = "0 seconds",
): Promise<void> {
  const { rowCount } = await (
    db as { query: (sql: string, values: unknown[]) => Promise<{ rowCount: number | null }> }
  ).query(
    `update graphile_worker._private_jobs
     set locked_by = $2, locked_at = now() - $3::interval, attempts = attempts + 1
     where key = 'parcel:' || $1`,
    [parcelId, workerId, ago],
  );
  if (rowCount !== 1) throw new Error("the parcel has no job to lock");
}

/** This parcel's job has failed as often as it may. */
export async function failJobForGood(
  db: Queryable,
  parcelId: string,
  lastError = "a bug of ours",
): Promise<void> {
  await db.query(
    `select graphile_worker.add_job('track_book', payload => json_build_object('parcelId', $1::text), job_key => 'parcel:' || $1, max_attempts => 3)`,
    [parcelId],
  );
  await db.query(
    `select graphile_worker.permanently_fail_jobs(array(select id from graphile_worker.jobs where key = 'parcel:' || $1), $2)`,
    [parcelId, lastError],
  );
}
