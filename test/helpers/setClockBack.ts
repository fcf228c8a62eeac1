import type { Queryable } from "../../src/db/withTransaction.ts";

/** What stores times that something waits for, or that tell of the present. */
const TABLES = [
  "bookpost_private.checks",
  "bookpost_private.leases",
  "bookpost_private.budgets",
  "bookpost_private.call_windows",
  "bookpost_private.workers",
  "bookpost_private.dispatch_clock",
  "bookpost.carrier_circuits",
  "graphile_worker._private_jobs",
  "graphile_worker._private_known_crontabs",
];

/**
 * The database's clock is set back by this ("1 hour"): everything stored lies
 * so much further ahead. The opposite of ageing; whole days move the days that
 * calls are counted for as well.
 */
export async function setClockBack(db: Queryable, by: string): Promise<void> {
  for (const table of TABLES) {
    const { rows } = await db.query<{ name: string; type: string }>(
      `select a.attname as name, format_type(a.atttypid, null) as type
       from pg_attribute a
       where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
         and a.atttypid in ('timestamptz'::regtype, 'date'::regtype)`,
      [table],
    );
    const sets = rows.map(({ name, type }) => `${name} = (${name} + $1::interval)::${type}`);
    await db.query(`update ${table} set ${sets.join(", ")}`, [by]);
  }
}
