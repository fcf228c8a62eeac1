import pg from "pg";
import type { TestDatabase } from "../../helpers/template.ts";

/**
 * Sets the database's clock forward by `by` (back: "-1 hour"), as far as
 * anybody can tell by what is stored: all stored times are moved the other way,
 * in one commit. Of the ledgers of what has happened, which are kept by month,
 * and of what parcels went through, the times stay.
 */
export async function jumpClock(db: TestDatabase, by: string): Promise<void> {
  const admin = new pg.Client(db.adminUrl);
  await admin.connect();
  try {
    const { rows } = await admin.query<{ sql: string }>(
      `select format('update %s set %s', t.oid::regclass, string_agg(
         case when a.atttypid = 'date'::regtype
           -- By noon, so that an hour is no day.
           then format('%1$I = ((%1$I + time ''12:00'') - %2$L::interval)::date', a.attname, $1::text)
           else format('%1$I = %1$I - %2$L::interval', a.attname, $1::text)
         end, ', ')) as sql
       from pg_class t
       join pg_namespace n on n.oid = t.relnamespace
       join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
       where n.nspname in ('bookpost', 'bookpost_private', 'graphile_worker')
         and t.relkind = 'r' and not t.relispartition and t.relname not in ('tracking_events', 'notifications')
         and a.atttypid in ('timestamptz'::regtype, 'date'::regtype)
       group by t.oid`,
      [by],
    );
    // Triggers tell others of changes; nothing has changed.
    await admin.query("set session_replication_role = replica");
    await retried(async () => {
      await admin.query("begin");
      try {
        // Not in the midst of a dispatch, which would see one time here and the other there.
        await admin.query("select pg_advisory_xact_lock(hashtext('bookpost.dispatch'))");
        for (const { sql } of rows) await admin.query(sql);
        await admin.query("commit");
      } catch (error) {
        await admin.query("rollback");
        throw error;
      }
    });
  } finally {
    await admin.end();
  }
}

/** Postgres's SQLSTATE for a deadlock (its manual, appendix A): workers lock in another order. */
const DEADLOCK = "40P01";

async function retried(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if ((error as { code?: string }).code !== DEADLOCK) throw error;
    }
  }
}
