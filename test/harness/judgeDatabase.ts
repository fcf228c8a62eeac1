import type { Queryable } from "../../src/db/withTransaction.ts";

// What must hold in the database whenever nothing is under way. Each check gives its offenders, for a test to print;
// none uses the functions that it judges, which would agree with themselves.

/** What `bookpost_ops.stuck` lists: busy beyond its time. */
export async function stuckThings(db: Queryable): Promise<{ kind: string }[]> {
  return (await db.query<{ kind: string }>("select * from bookpost_ops.stuck")).rows;
}

/** Live parcels that `bookpost_ops.why` does not explain, or explains more than once. */
export async function unexplainedParcels(db: Queryable): Promise<unknown[]> {
  const { rows } = await db.query(
    `select p.id, count(w.parcel_id)::integer as rows, min(w.reason) as reason
     from bookpost.parcels p left join bookpost_ops.why w on w.parcel_id = p.id
     where p.closed_at is null
     group by p.id having count(w.parcel_id) <> 1 or count(w.reason) <> 1`,
  );
  return rows;
}

/**
 * Parcels whose status is not what their scans tell (a person's mark is one of
 * them): the newest that carries a stage. Where none does, the carrier must at
 * least have answered; where it has, the status is no longer pending.
 */
export async function statusesWithoutEvidence(db: Queryable): Promise<unknown[]> {
  const { rows } = await db.query(
    `select p.id, p.carrier_code, p.tracking_number, p.status, told.status as told, answered.times as answers
     from bookpost.parcels p
     left join lateral (
       select e.status from bookpost.tracking_events e
       where e.parcel_id = p.id and e.status is not null and e.status <> 'unknown'
       order by e.sort_at desc, e.sort_rank desc, e.identity desc limit 1
     ) told on true
     cross join lateral (
       select count(*)::integer as times from bookpost_private.lookups k
       where k.parcel_id = p.id and k.outcome = 'updated'
     ) answered
     where case
       when told.status is not null then p.status <> case
         -- On the way back, whatever is told of the way out.
         when p.is_return and told.status not in ('pre_transit', 'cancelled') then 'return_to_sender'
         else told.status
       end
       else (p.status = 'pending') <> (answered.times = 0)
     end`,
  );
  return rows;
}

/** A carrier's scans of which no look has learnt: they came from nowhere, or their lookup is lost. */
export async function scansWithoutLookup(db: Queryable): Promise<unknown[]> {
  const { rows } = await db.query(
    `select e.parcel_id, e.identity, e.status
     from bookpost.tracking_events e
     where e.raw_code <> 'by_hand'
       and not exists (
         select from bookpost_private.lookups k where k.parcel_id = e.parcel_id and k.outcome = 'updated'
       )`,
  );
  return rows;
}

/**
 * Owners who wait for a parcel and were not told of the stage it has now.
 * Judged are those who waited when it changed, as far as the rows tell:
 * whoever stopped and came back later looks as if she had waited.
 */
export async function missingNotifications(db: Queryable): Promise<unknown[]> {
  const { rows } = await db.query(
    `select b.owner_id, b.book_id, p.id as parcel_id, p.status, p.status_version
     from bookpost.parcels p
     join bookpost.parcel_statuses s on s.status = p.status and s.is_told
     join bookpost.parcel_books b on b.parcel_id = p.id and b.stopped_at is null
       -- Unless a look has found it waiting, when it began to.
       and coalesce(b.first_synced_at, b.started_at) <= p.status_changed_at
     where p.status_version > 0 and not exists (
       select from bookpost.notifications n
       where n.user_id = b.owner_id and n.book_id = b.book_id and n.parcel_id = p.id
         and n.status_version = p.status_version and n.status = p.status
     )`,
  );
  return rows;
}

/**
 * Notifications of what never was (a version that its parcel has not reached,
 * another stage than the parcel has in that version, a stage nobody is told
 * of), and those that tell one owner of one book the same again.
 */
export async function falseNotifications(db: Queryable): Promise<unknown[]> {
  const { rows } = await db.query(
    `select n.id, n.user_id, n.book_id, n.parcel_id, n.status, n.status_version
     from bookpost.notifications n
     join bookpost.parcels p on p.id = n.parcel_id
     join bookpost.parcel_statuses s on s.status = n.status
     where n.status_version not between 1 and p.status_version
       or (n.status_version = p.status_version and n.status <> p.status)
       or not s.is_told
       -- A version is a change: two in a row that tell the same were one.
       or exists (
         select from bookpost.notifications o
         where o.user_id = n.user_id and o.book_id = n.book_id and o.parcel_id = n.parcel_id and o.id <> n.id
           and (o.status_version = n.status_version or (o.status_version = n.status_version - 1 and o.status = n.status))
       )`,
  );
  return rows;
}
