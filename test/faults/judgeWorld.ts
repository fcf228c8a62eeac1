import type { TestDatabase } from "../helpers/template.ts";
import { type Parcel, STATUSES } from "./world.ts";

/** What must not be found when all is quiet again: each question, and the offenders. */
export async function judgeWorld(
  { pool }: TestDatabase,
  parcels: readonly Parcel[],
): Promise<Record<string, unknown[]>> {
  const ask = async (sql: string) => (await pool.query(sql)).rows;
  const known = new Map(
    (
      await ask(
        `select p.id, p.status, (select count(*)::integer from bookpost.tracking_events e where e.parcel_id = p.id) as scans
         from bookpost.parcels p`,
      )
    ).map((row) => [row.id, row]),
  );
  return {
    "a parcel is not where its carrier says": parcels.filter(({ id, shown, isForsaken }) => {
      if (isForsaken) return false;
      const row = known.get(id);
      return row?.scans !== shown || row.status !== STATUSES[shown];
    }),
    "a status change was not told to someone who waited for it": await ask(
      `select w.*, b.owner_id from public.status_witness w
       join bookpost.parcel_statuses s on s.status = w.status and s.is_told
       join bookpost.parcel_books b on b.parcel_id = w.parcel_id and b.stopped_at is null
       where not exists (
         select from bookpost.notifications n
         where n.parcel_id = w.parcel_id and n.book_id = b.book_id and n.user_id = b.owner_id
           and n.status_version = w.version and n.status = w.status and n.xmin::text = w.transaction_id
       )`,
    ),
    "something was told that did not happen, or twice": await ask(
      `select n.parcel_id, n.user_id, n.status, n.status_version, count(*)
       from bookpost.notifications n
       left join public.status_witness w
         on w.parcel_id = n.parcel_id and w.version = n.status_version and w.status = n.status
       group by n.parcel_id, n.user_id, n.book_id, n.status, n.status_version
       having count(*) > 1 or count(w.version) = 0`,
    ),
    "a status came without a lookup that found it, in the same commit": await ask(
      `select w.* from public.status_witness w
       where not exists (
         select from bookpost_private.lookups k
         where k.parcel_id = w.parcel_id and k.outcome = 'updated' and k.xmin::text = w.transaction_id
       )`,
    ),
    "a status has no scan that says so": await ask(
      `select w.* from public.status_witness w
       where not exists (
         select from bookpost.tracking_events e where e.parcel_id = w.parcel_id and e.status = w.status
       )`,
    ),
    "a version was left out": await ask(
      `select p.id, p.status_version, count(w.version) from bookpost.parcels p
       left join public.status_witness w on w.parcel_id = p.id
       group by p.id having count(w.version) <> p.status_version`,
    ),
    "a live parcel has no next look and no reason": await ask(
      `select p.id, count(w.parcel_id) as rows, min(w.reason) as reason
       from bookpost.parcels p left join bookpost_ops.why w on w.parcel_id = p.id
       where p.closed_at is null group by p.id having count(w.parcel_id) <> 1 or min(w.reason) is null`,
    ),
    "a parcel that nobody waits for is still asked about": await ask(
      `select p.id from bookpost.parcels p where p.closed_at is null and not exists (
         select from bookpost.parcel_books b where b.parcel_id = p.id and b.stopped_at is null
       )`,
    ),
    "a parcel was set aside": await ask(
      "select parcel_id, last_error from bookpost_private.checks where pause_reason = 'quarantined'",
    ),
    "something is stuck": await ask("select * from bookpost_ops.stuck"),
  };
}
