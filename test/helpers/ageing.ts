import type { Queryable } from "../../src/db/withTransaction.ts";

// Time passes in tests by moving stored times back, never by waiting.

/** The parcels are due, whatever was planned. Locked in their one order, for tests with many connections. */
export async function makeDue(db: Queryable, ...parcelIds: readonly string[]): Promise<void> {
  await db.query(
    `with held as (
       select parcel_id from bookpost_private.checks
       where parcel_id = any ($1) and next_check_at is not null
       order by parcel_id for no key update
     )
     update bookpost_private.checks c set next_check_at = clock_timestamp() - interval '1 second'
     from held where held.parcel_id = c.parcel_id`,
    [parcelIds],
  );
}

/** `by` has passed for a circuit: "31 minutes". */
export async function ageCircuit(db: Queryable, apiCode: string, by: string): Promise<void> {
  await db.query(
    `update bookpost.carrier_circuits set
       opened_at = opened_at - $2::interval, open_until = open_until - $2::interval,
       probe_until = probe_until - $2::interval, forced_until = forced_until - $2::interval,
       released_at = released_at - $2::interval,
       changed_at = changed_at - $2::interval
     where api_code = $1`,
    [apiCode, by],
  );
}

/** `by` has passed for an API's allowance. */
export async function ageBudget(db: Queryable, apiCode: string, by: string): Promise<void> {
  await db.query(
    `update bookpost_private.budgets set
       next_release_at = next_release_at - $2::interval, not_before = not_before - $2::interval,
       waiting_until = waiting_until - $2::interval,
       day = (day::timestamp - $2::interval)::date
     where api_code = $1`,
    [apiCode, by],
  );
  await db.query(
    "update bookpost_private.call_windows set next_call_at = next_call_at - $2::interval where api_code = $1",
    [apiCode, by],
  );
}

/** `by` has passed for a lookup under way. */
export async function ageLease(db: Queryable, parcelId: string, by: string): Promise<void> {
  await db.query(
    `update bookpost_private.leases set
       started_at = started_at - $2::interval, call_at = call_at - $2::interval, lease_until = lease_until - $2::interval
     where parcel_id = $1`,
    [parcelId, by],
  );
}

/** The worker has not beaten for `by`, while another one, which can ask nobody, has. */
export async function ageBeat(db: Queryable, workerId: string, by: string): Promise<void> {
  await makeWitness(db);
  await db.query(
    "update bookpost_private.workers set beat_at = beat_at - $2::interval where id = $1",
    [workerId, by],
  );
}

/** Nine seconds have passed in which this worker has not beaten, and another, which can ask nobody, has. */
export async function outlive(db: Queryable, workerId: string): Promise<void> {
  await ageBeat(db, workerId, "9 seconds");
  await db.query(
    `update bookpost_private.leases set started_at = started_at - interval '9 seconds',
       call_at = call_at - interval '9 seconds', lease_until = lease_until - interval '9 seconds'`,
  );
}

/** A worker that has beaten for a minute, so that the silence of others means something; it has no credentials. */
export async function makeWitness(db: Queryable): Promise<void> {
  await db.query(
    `insert into bookpost_private.workers (id, host_name, process_id, beating_since)
     values ('witness', 'test', 0, clock_timestamp() - interval '1 minute')
     on conflict (id) do update set beat_at = clock_timestamp()`,
  );
}

/** `by` has passed since a parcel was scanned, delivered, looked at and planned. */
export async function ageParcel(db: Queryable, parcelId: string, by: string): Promise<void> {
  await db.query(
    `update bookpost.parcels set
       created_at = created_at - $2::interval, status_changed_at = status_changed_at - $2::interval,
       delivered_at = delivered_at - $2::interval,
       delivered_local_time = delivered_local_time - $2::interval
     where id = $1`,
    [parcelId, by],
  );
  await db.query(
    `update bookpost.tracking_events set
       occurred_at = occurred_at - $2::interval, local_time = local_time - $2::interval,
       sort_at = sort_at - $2::interval
     where parcel_id = $1`,
    [parcelId, by],
  );
  await db.query(
    `update bookpost_private.checks set
       next_check_at = next_check_at - $2::interval, last_looked_at = last_looked_at - $2::interval,
       last_answered_at = last_answered_at - $2::interval, last_changed_at = last_changed_at - $2::interval
     where parcel_id = $1`,
    [parcelId, by],
  );
}
