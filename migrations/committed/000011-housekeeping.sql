--! Previous: sha1:dd6ab2b3ddcd89eddfdc9c58486701b28fbdd238
--! Hash: sha1:694fa63b04268387b1d2cd776b0f4d6f4f88bdb3
--! Message: housekeeping

-- Ending what has run its course.
--
-- One lock order in every function here and below, so that nothing deadlocks:
-- checks (by parcel id), leases, parcels, budgets (by api code), circuits (by api code), the queue.

create function bookpost_private.wake_dispatch() returns void
language sql
set search_path = pg_catalog, pg_temp
-- NOTE: no `begin atomic` where the queue is named: it would tie our functions to the queue's own,
-- and its next migration could not replace them.
as $$
  -- A key of this transaction's own: many wake-ups in it are one job, and no row is shared with other transactions,
  -- which may be an app's and stay open for long.
  select graphile_worker.add_job(
    'dispatch', run_at => clock_timestamp(), job_key => 'dispatch:' || pg_catalog.pg_current_xact_id(), max_attempts => 3
  );
$$;

comment on function bookpost_private.wake_dispatch() is
  'Asks for a dispatch now instead of at the next minute. Does not commit.';

-- Ends a parcel's tracking. The caller holds the lock on its row in checks.
create function bookpost_private.close_parcel(parcel_id uuid, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_lease bookpost_private.leases;
begin
  delete from bookpost_private.leases l where l.parcel_id = close_parcel.parcel_id
  returning l.* into v_lease;
  update bookpost.parcels p set closed_at = clock_timestamp(), closed_reason = close_parcel.reason
  where p.id = close_parcel.parcel_id and p.closed_at is null;
  update bookpost_private.checks c set next_check_at = null, pause_reason = 'closed' where c.parcel_id = close_parcel.parcel_id;
  if v_lease.is_probe then
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe''s parcel was closed');
  end if;
end;
$$;

-- Closes parcels that nobody waits for any more. A second caller skips what the first has in hand. A note whose
-- transaction is still open is not seen yet, and so not lost: it is looked at when it has been committed.
create function bookpost_private.close_forsaken_parcels(parcel_ids uuid[] default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_parcel_id uuid;
  v_noted uuid[];
begin
  -- Of parcels that are gone altogether.
  if parcel_ids is null then
    delete from bookpost_private.forsaken_parcels f
    where f.ctid in (
      select o.ctid from bookpost_private.forsaken_parcels o
      where not exists (select from bookpost_private.checks c where c.parcel_id = o.parcel_id)
      for update skip locked
    );
  end if;

  for v_parcel_id in
    select c.parcel_id
    from bookpost_private.checks c
    where c.parcel_id in (select f.parcel_id from bookpost_private.forsaken_parcels f)
      and (parcel_ids is null or c.parcel_id = any (parcel_ids))
    order by c.parcel_id
    for no key update skip locked
  loop
    -- Its worker is paying for a request this moment, and waits for a budget: whoever waited for it here, with circuits in
    -- hand, would close the ring. The next sweep looks again.
    perform 1 from bookpost_private.leases l where l.parcel_id = v_parcel_id for update skip locked;
    continue when not found and exists (select from bookpost_private.leases l where l.parcel_id = v_parcel_id);
    -- The notes first, then the relations: what is committed in between has its own note, which stays.
    with read as (
      delete from bookpost_private.forsaken_parcels f where f.parcel_id = v_parcel_id returning f.parcel_id
    )
    select array_agg(read.parcel_id) into v_noted from read;
    if v_noted is not null
      and not exists (select from bookpost.parcel_books pb where pb.parcel_id = v_parcel_id and pb.stopped_at is null)
    then
      perform bookpost_private.close_parcel(v_parcel_id, 'stopped')
      from bookpost.parcels p where p.id = v_parcel_id and p.closed_at is null;
    end if;
  end loop;
end;
$$;

-- Closes what has run its course: seven days after delivery, a return that arrived, a voided label.
create function bookpost_private.close_finished_parcels(parcel_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_parcel record;
begin
  for v_parcel in
    select p.id,
      case p.status when 'cancelled' then 'cancelled' when 'return_to_sender' then 'returned' else 'delivered' end as reason
    from bookpost.parcels p
    where p.id = any (parcel_ids) and p.closed_at is null
      and (
        p.status = 'cancelled'
        -- A return with a time of delivery has arrived where it came from.
        or (p.status = 'return_to_sender' and (p.delivered_at is not null or p.delivered_local_time is not null))
        or (
          p.status in ('delivered', 'return_to_sender')
          and coalesce(p.delivered_at, p.delivered_local_time at time zone 'UTC', p.status_changed_at) < now() - interval '7 days'
        )
      )
    order by p.id
  loop
    perform bookpost_private.close_parcel(v_parcel.id, v_parcel.reason);
  end loop;
end;
$$;
