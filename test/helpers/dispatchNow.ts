import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

/**
 * Has the running worker dispatch, and waits until it has and every lookup that
 * came of it is written down. Jobs for later than half a minute are left alone.
 */
export async function dispatchNow(db: TestDatabase): Promise<void> {
  await db.pool.query(
    "select graphile_worker.add_job('dispatch', job_key => 'dispatch_now', max_attempts => 1)",
  );
  await until("dispatch has run and every lookup is written down", async () => {
    const { rows } = await db.pool.query(
      `select from graphile_worker.jobs j
       where j.task_identifier in ('dispatch', 'track_book')
         and (j.locked_at is not null or (j.attempts < j.max_attempts and j.run_at < now() + interval '30 seconds'))
       union all
       select from bookpost_private.leases`,
    );
    return rows.length === 0;
  });
}
