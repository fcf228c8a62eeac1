import type { Queryable } from "../db/withTransaction.ts";

/**
 * Shortens every interval of this database to seconds, for the demo: policies,
 * back-offs, cooldowns, and the limits the sandbox does not have. They are
 * rows, so this is all it takes. Commits, each statement by itself.
 */
export async function quickenIntervals(db: Queryable): Promise<void> {
  await db.query(
    "update bookpost_private.polling_policies set check_interval = '2 seconds', max_check_interval = '3 seconds'",
  );
  await db.query(
    `update bookpost_private.lookup_outcomes set retry_after = '1 second', max_retry_after = '1 second'
     where retry_after is not null`,
  );
  await db.query(
    `update bookpost.carrier_apis
     set cooldown = '8 seconds', max_cooldown = '8 seconds', release_duration = '4 seconds',
       min_check_interval = '1 second', calls_per_day = null, calls_per_parcel_per_day = null`,
  );
  await db.query("delete from bookpost.carrier_limits");
}
