--! Previous: sha1:9b084a125b69f9e5d579660a9e66cfc7b3830364
--! Hash: sha1:1ded581a7d30d1302e6da226644d40f1dfc6db51
--! Message: housekeeping

-- Ending what has run its course, and freeing what the dead hold.
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

-- Gives up leases and says so in the ledger; their parcels are due again at once.
create function bookpost_private.interrupt_lookups(lookup_ids uuid[], why text) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_leases bookpost_private.leases[];
  v_lease bookpost_private.leases;
begin
  -- skip locked: the lookup is being recorded this moment, so it is not lost.
  perform 1
  from bookpost_private.checks c
  where c.parcel_id in (select l.parcel_id from bookpost_private.leases l where l.lookup_id = any (lookup_ids))
  order by c.parcel_id
  for no key update skip locked;

  with gone as (
    delete from bookpost_private.leases l
    where l.lookup_id = any (lookup_ids)
      and l.parcel_id in (
        -- Only rows whose check we hold: asking again for a lock that is ours is free, one that is not is skipped.
        select c.parcel_id from bookpost_private.checks c
        where c.parcel_id in (select l2.parcel_id from bookpost_private.leases l2 where l2.lookup_id = any (lookup_ids))
        for no key update skip locked
      )
      -- skip locked: its worker is paying for a request this moment, so it lives.
      and l.lookup_id in (select h.lookup_id from bookpost_private.leases h where h.lookup_id = any (lookup_ids) for update skip locked)
    returning l.*
  )
  select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;

  -- Whether its request went out is not known: it counts for the parcel's day.
  update bookpost_private.checks c
  set next_check_at = greatest(clock_timestamp(), bookpost_private.parcel_may_be_asked_at(l.api_code, n.day, n.day_calls)),
    last_outcome = 'interrupted', last_error = interrupt_lookups.why, day = n.day, day_calls = n.day_calls
  from unnest(v_leases) l
  join bookpost_private.checks k on k.parcel_id = l.parcel_id
  join bookpost.carrier_apis a on a.code = l.api_code
  cross join lateral bookpost_private.day_of(clock_timestamp(), a.day_time_zone) d
  cross join lateral (select d.day, case when k.day = d.day then k.day_calls else 0 end + 1 as day_calls) n
  where c.parcel_id = l.parcel_id and c.next_check_at is not null;

  insert into bookpost_private.lookups
    (id, parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, finished_at, outcome, error_code, error_message, calls)
  select l.lookup_id, l.parcel_id, l.batch_id, l.api_code, l.generation, l.is_probe, l.worker_id, l.started_at, clock_timestamp(),
    'interrupted', 'INTERRUPTED', interrupt_lookups.why, 0
  from unnest(v_leases) l;

  for v_lease in select l.* from unnest(v_leases) l where l.is_probe order by l.api_code loop
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe was interrupted: ' || interrupt_lookups.why);
  end loop;

  return coalesce(array_length(v_leases, 1), 0);
end;
$$;

-- A worker says that it is alive, and which APIs it can ask.
create function bookpost_private.beat(
  worker_id text, host_name text, process_id integer, api_fingerprints jsonb
) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  insert into bookpost_private.workers as w (id, host_name, process_id, api_fingerprints)
  values (beat.worker_id, beat.host_name, beat.process_id, beat.api_fingerprints)
  on conflict (id) do update
    set beat_at = clock_timestamp(), api_fingerprints = excluded.api_fingerprints;
  -- Credentials other than the refused ones end the parking.
  with parked as (
    -- In the one lock order. A second beat waits here and then finds nothing to end.
    select k.api_code from bookpost_private.budgets k
    where k.parked_at is not null
      and beat.api_fingerprints ? k.api_code
      and beat.api_fingerprints ->> k.api_code is distinct from k.parked_fingerprint
    order by k.api_code
    for no key update
  )
  update bookpost_private.budgets b set parked_at = null, parked_reason = null
  from parked where b.api_code = parked.api_code;
end;

comment on function bookpost_private.beat(text, text, integer, jsonb) is
  'Keeps this worker alive in the eyes of the others (every 2 seconds) and ends the parking of an API that it has other credentials for.';

-- Frees what the dead hold. Any worker may call it, any time; each finds only what another has not freed yet.
create function bookpost_private.sweep(is_thorough boolean default false) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_dead text[];
  v_lost uuid[];
  v_count integer := 0;
  v_probe record;
begin
  -- 8 seconds: four beats missed. skip locked: another sweeper has that one.
  with dead as (
    delete from bookpost_private.workers w
    where w.id in (
      select d.id from bookpost_private.workers d
      where d.beat_at < clock_timestamp() - interval '8 seconds'
      for update skip locked
    )
    returning w.id
  )
  select coalesce(array_agg(dead.id), '{}') into v_dead from dead;

  select coalesce(array_agg(l.lookup_id), '{}') into v_lost
  from bookpost_private.leases l
  where l.lease_until < clock_timestamp()
    or l.worker_id = any (v_dead)
    -- Of whose death an earlier sweep knew, when this parcel was in someone's hands.
    or (
      l.started_at < clock_timestamp() - interval '8 seconds'
      and not exists (select from bookpost_private.workers w where w.id = l.worker_id)
    );
  perform bookpost_private.close_forsaken_parcels();
  if v_lost <> '{}' then
    v_count := bookpost_private.interrupt_lookups(v_lost, 'its worker died or its time ran out');
  end if;

  -- A probe without a lease reports to nobody any more. skip locked: someone is moving that circuit now.
  for v_probe in
    select c.api_code, c.probe_lookup_id
    from bookpost.carrier_circuits c
    where c.state = 'half_open' and c.probe_until < clock_timestamp()
      and not exists (select from bookpost_private.leases l where l.lookup_id = c.probe_lookup_id)
    order by c.api_code
    for no key update of c skip locked
  loop
    perform bookpost_private.release_probe(v_probe.api_code, v_probe.probe_lookup_id, 'the probe was lost');
  end loop;

  perform bookpost_private.end_expired_holds();

  -- Also the jobs of one who died before its first beat. It reads the whole queue, so not at every heartbeat.
  if is_thorough then
    select v_dead || coalesce(array_agg(distinct j.locked_by), '{}') into v_dead
    from graphile_worker.jobs j
    where j.task_identifier in ('dispatch', 'track_book', 'maintain')
      and j.locked_at < clock_timestamp() - interval '8 seconds'
      and not exists (select from bookpost_private.workers w where w.id = j.locked_by);
  end if;
  if v_dead <> '{}' then
    perform graphile_worker.force_unlock_workers(v_dead);
  end if;
  if v_count > 0 then
    perform bookpost_private.wake_dispatch();
  end if;
  return v_count;
end;
$$;

comment on function bookpost_private.sweep(boolean) is
  'Frees the jobs of workers that stopped beating and closes lookups whose lease ran out as interrupted; thorough (once a minute, by dispatch): also jobs of workers that never beat. Returns how many lookups. Does not commit.';

-- A parcel whose job failed for good has met a bug of ours: it is set aside, visibly, until a person refreshes it.
create function bookpost_private.quarantine_failed_parcels() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count integer;
begin
  with failed as (
    select substring(j.key from 8)::uuid as parcel_id, j.last_error
    from graphile_worker.jobs j
    where j.task_identifier = 'track_book' and j.attempts >= j.max_attempts and j.locked_at is null
      and j.key ~ '^parcel:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
  ),
  held as (
    -- skip locked: someone is at it; the next dispatch looks again.
    select c.parcel_id from bookpost_private.checks c
    where c.parcel_id in (select f.parcel_id from failed f) and c.next_check_at is not null
    order by c.parcel_id
    for no key update skip locked
  )
  update bookpost_private.checks c
  set next_check_at = null, pause_reason = 'quarantined', last_error = left(f.last_error, 500)
  from failed f join held h using (parcel_id)
  where c.parcel_id = f.parcel_id;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
