--! Previous: sha1:f5e4852491df35bf6a2c96e633fe04bfb48e66ce
--! Hash: sha1:7038c3dc1b6093e472e7425df59185485c4b44c9
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

-- So many deaths of workers in a row set a parcel aside.
create function bookpost_private.crashes_tolerated() returns integer
language sql immutable parallel safe
return 1;

-- Gives up leases and says so in the ledger; their parcels are due again at once. is_crash: their worker died over them,
-- or over something else while they were under way.
create function bookpost_private.interrupt_lookups(lookup_ids uuid[], why text, is_crash boolean default false) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_leases bookpost_private.leases[];
  v_lease bookpost_private.leases;
  -- One moment for all: who goes first among them is then no accident.
  v_now constant timestamptz := clock_timestamp();
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
  set next_check_at = case when n.crash_count <= bookpost_private.crashes_tolerated() or not is_crash
      then greatest(v_now, bookpost_private.parcel_may_be_asked_at(l.api_code, n.day, n.day_calls))
    end,
    pause_reason = case when n.crash_count > bookpost_private.crashes_tolerated() and is_crash then 'quarantined' end,
    last_outcome = 'interrupted', day = n.day, day_calls = n.day_calls, crash_count = n.crash_count,
    last_error = case when is_crash then format('A worker died while it looked, %s in a row.', n.crash_count) else interrupt_lookups.why end
  from unnest(v_leases) l
  join bookpost_private.checks k on k.parcel_id = l.parcel_id
  join bookpost.carrier_apis a on a.code = l.api_code
  cross join lateral bookpost_private.day_of(clock_timestamp(), a.day_time_zone) d
  cross join lateral (
    select d.day, case when k.day = d.day then k.day_calls else 0 end + 1 as day_calls, k.crash_count + is_crash::integer as crash_count
  ) n
  where c.parcel_id = l.parcel_id and c.next_check_at is not null;

  insert into bookpost_private.lookups
    (id, parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, finished_at, outcome, error_code, error_message, calls)
  select l.lookup_id, l.parcel_id, l.batch_id, l.api_code, l.generation, l.is_probe, l.worker_id, l.started_at, clock_timestamp(),
    'interrupted', case when is_crash then 'CRASHED' else 'INTERRUPTED' end, interrupt_lookups.why, 0
  from unnest(v_leases) l;

  for v_lease in select l.* from unnest(v_leases) l where l.is_probe order by l.api_code loop
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe was interrupted: ' || interrupt_lookups.why);
  end loop;

  return coalesce(array_length(v_leases, 1), 0);
end;
$$;

-- A worker that has not beaten for this long is taken for dead: five beats missed (src/ops/heartbeat.ts). Chosen so that
-- its parcels are elsewhere within 10 seconds, and no pause of an ordinary garbage collection looks like death.
create function bookpost_private.dead_after() returns interval
language sql immutable parallel safe
return interval '6 seconds';

-- Nobody is judged before somebody has been able to beat for this long: after an outage of the database all beats are
-- old, and the first to come back must not take the others for dead. Chosen: a connection is made in 3 seconds or not.
create function bookpost_private.witness_after() returns interval
language sql immutable parallel safe
return interval '4 seconds';

-- A worker says that it is alive, and which APIs it can ask.
create function bookpost_private.beat(
  worker_id text, host_name text, process_id integer, api_fingerprints jsonb, clock_ahead interval default null
) returns timestamptz
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  insert into bookpost_private.workers as w (id, host_name, process_id, api_fingerprints, clock_ahead)
  values (beat.worker_id, beat.host_name, beat.process_id, beat.api_fingerprints, beat.clock_ahead)
  on conflict (id) do update
    set beat_at = clock_timestamp(), api_fingerprints = excluded.api_fingerprints, clock_ahead = excluded.clock_ahead,
      beating_since = case
        when w.beat_at < clock_timestamp() - bookpost_private.dead_after() or w.beating_since > clock_timestamp()
          then clock_timestamp()
        else w.beating_since
      end;
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
  select clock_timestamp();
end;

comment on function bookpost_private.beat(text, text, integer, jsonb, interval) is
  'Keeps this worker alive in the eyes of the others (every second) and ends the parking of an API that it has other credentials for. Returns the database''s clock, by which the worker finds out how far its own is ahead: what it tells at the next beat.';

-- NOTE: the one place that writes a table of the queue's own: its documented functions free all jobs of a worker or none,
-- give no attempt back, and would also free a lock that its pool, thought dead, has just taken anew.
-- test/db/bookpost_private/functions/free_jobs.test.ts goes red where an upgrade of the queue changes the table.
create function bookpost_private.free_jobs(worker_ids text[], locked_before timestamptz, kept_ids bigint[] default '{}') returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count integer;
begin
  -- A second caller waits here, looks at the row again and finds it free.
  update graphile_worker._private_jobs j
  set locked_at = null, locked_by = null, updated_at = now(), run_at = greatest(j.run_at, now()),
    -- Fetching counts as an attempt, whether or not it was begun. A parcel's crashes are counted by its lookups.
    attempts = j.attempts - (
      j.attempts > 0 and j.task_id in (select t.id from graphile_worker._private_tasks t where t.identifier = 'track_book')
    )::integer
  where j.locked_by = any (worker_ids) and j.locked_at < locked_before and not (j.id = any (kept_ids));
  get diagnostics v_count = row_count;
  update graphile_worker._private_job_queues q set locked_at = null, locked_by = null
  where q.locked_by = any (worker_ids) and q.locked_at < locked_before
    and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id and j.locked_at is not null);
  return v_count;
end;
$$;

comment on function bookpost_private.free_jobs(text[], timestamptz, bigint[]) is
  'Gives jobs that some workers locked before a time back to the queue, except those listed; a lookup''s attempt is given back with it. Returns how many. Does not commit.';

-- What a living worker holds and does not know of: the answer to its fetch or to its asking for permits was lost, or the
-- word that a job had ended.
create function bookpost_private.free_strays(worker_id text, job_ids bigint[], lookup_ids uuid[]) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  -- A worker keeps the ids of ended jobs that long, and no answer takes it (src/ops/jobsInHand.ts, src/db/pool.ts).
  v_before constant timestamptz := clock_timestamp() - interval '10 seconds';
  v_lost uuid[];
  v_count integer := 0;
begin
  select array_agg(l.lookup_id) into v_lost
  from bookpost_private.leases l
  where l.worker_id = free_strays.worker_id and l.started_at < v_before and not (l.lookup_id = any (free_strays.lookup_ids));
  if v_lost is not null then
    v_count := bookpost_private.interrupt_lookups(v_lost, 'its worker never learnt that it had been permitted');
  end if;
  v_count := v_count + bookpost_private.free_jobs(array[free_strays.worker_id], v_before, job_ids);
  if v_count > 0 then
    perform bookpost_private.wake_dispatch();
  end if;
  return v_count;
end;
$$;

comment on function bookpost_private.free_strays(text, bigint[], uuid[]) is
  'Frees the jobs and lookups that this worker has had for 10 seconds in the database and that are not among those it has in hand. Returns how many. Does not commit.';

-- The queue's own timetable, by a worker whose clock was ahead: until that time has come nobody else would dispatch.
create function bookpost_private.repair_timetable() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_late bigint[];
begin
  update graphile_worker._private_known_crontabs k set last_execution = date_trunc('minute', v_now)
  where k.identifier in ('dispatch', 'maintain') and k.last_execution > v_now + interval '1 minute';
  select array_agg(j.id) into v_late
  from graphile_worker.jobs j
  where j.key in ('dispatch', 'maintain') and j.run_at > v_now + interval '1 minute' and j.locked_at is null;
  if v_late is not null then
    perform graphile_worker.reschedule_jobs(v_late, run_at => v_now);
  end if;
end;
$$;

comment on function bookpost_private.repair_timetable() is
  'Brings crontab entries and their jobs that a fast clock has put into the future back to the present. Does not commit.';

-- Frees what the dead hold. Any worker may call it, any time; each finds only what another has not freed yet.
create function bookpost_private.sweep(is_thorough boolean default false) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_deaths bookpost_private.workers[] := '{}';
  v_dead text[];
  v_crashed uuid[];
  v_lost uuid[];
  v_count integer := 0;
  v_probe record;
begin
  -- Whose last beat lies in the future: the clock was set back since. It counts from now.
  update bookpost_private.workers w set beat_at = v_now
  where w.id in (select f.id from bookpost_private.workers f where f.beat_at > v_now + interval '1 second' for update skip locked);

  if exists (
    select from bookpost_private.workers w
    where w.beating_since <= v_now - bookpost_private.witness_after() and w.beat_at > v_now - bookpost_private.dead_after()
  ) then
    -- skip locked: another sweeper has that one, or it beats this moment.
    with dead as (
      delete from bookpost_private.workers w
      where w.id in (
        select d.id from bookpost_private.workers d
        where d.beat_at < v_now - bookpost_private.dead_after()
        for update skip locked
      )
      returning w.*
    )
    select coalesce(array_agg(dead::bookpost_private.workers), '{}') into v_deaths from dead;
  end if;
  select coalesce(array_agg(d.id), '{}') into v_dead from unnest(v_deaths) d;

  select
    -- Those whose request could have gone out by the time of death, a beat after the last at most.
    coalesce(array_agg(l.lookup_id) filter (where d.id is not null and l.call_at <= d.beat_at + interval '1 second'), '{}'),
    coalesce(array_agg(l.lookup_id) filter (where not coalesce(l.call_at <= d.beat_at + interval '1 second', false)), '{}')
  into v_crashed, v_lost
  from bookpost_private.leases l
  left join unnest(v_deaths) d on d.id = l.worker_id
  where l.lease_until < v_now
    or d.id is not null
    -- Of whose death an earlier sweep knew, when this parcel was in someone's hands.
    or (
      l.started_at < v_now - bookpost_private.dead_after()
      and not exists (select from bookpost_private.workers w where w.id = l.worker_id)
    );
  perform bookpost_private.close_forsaken_parcels();
  if v_crashed <> '{}' then
    v_count := bookpost_private.interrupt_lookups(v_crashed, 'its worker died', true);
  end if;
  if v_lost <> '{}' then
    v_count := v_count + bookpost_private.interrupt_lookups(v_lost, 'its worker died or its time ran out');
  end if;
  insert into bookpost_private.worker_deaths (worker_id, host_name, process_id, started_at, beat_at, stale_results, interrupted_lookups)
  select d.id, d.host_name, d.process_id, d.started_at, d.beat_at, d.stale_results,
    (select count(*) from bookpost_private.lookups k where k.id = any (v_crashed || v_lost) and k.worker_id = d.id and k.finished_at >= v_now)
  from unnest(v_deaths) d;

  -- A probe without a lease reports to nobody any more. skip locked: someone is moving that circuit now.
  for v_probe in
    select c.api_code, c.probe_lookup_id
    from bookpost.carrier_circuits c
    where c.state = 'half_open' and c.probe_until < v_now
      and not exists (select from bookpost_private.leases l where l.lookup_id = c.probe_lookup_id)
    order by c.api_code
    for no key update of c skip locked
  loop
    perform bookpost_private.release_probe(v_probe.api_code, v_probe.probe_lookup_id, 'the probe was lost');
  end loop;

  perform bookpost_private.end_expired_holds();

  if v_dead <> '{}' then
    perform bookpost_private.free_jobs(v_dead, v_now);
  end if;
  -- Also the jobs of one who died before its first beat. It reads the whole queue, so not at every heartbeat.
  if is_thorough then
    delete from bookpost_private.worker_deaths d where d.found_at < v_now - interval '30 days';
    select coalesce(array_agg(distinct j.locked_by), '{}') into v_dead
    from graphile_worker.jobs j
    where j.task_identifier in ('dispatch', 'track_book', 'maintain')
      and j.locked_at < v_now - bookpost_private.dead_after()
      and not exists (select from bookpost_private.workers w where w.id = j.locked_by);
    if v_dead <> '{}' then
      perform bookpost_private.free_jobs(v_dead, v_now - bookpost_private.dead_after());
    end if;
  end if;

  perform bookpost_private.repair_timetable();
  if v_count > 0 then
    perform bookpost_private.wake_dispatch();
  -- The crontab's minute has passed without a dispatch, or the clock was set back. One job, however many sweepers; none
  -- where dispatch itself is the caller.
  elsif not is_thorough and not exists (
      select from bookpost_private.dispatch_clock d
      where d.dispatched_at between v_now - interval '65 seconds' and v_now + interval '5 seconds'
    )
    and not exists (select from graphile_worker.jobs j where j.key = 'dispatch:late' and j.attempts < j.max_attempts)
  then
    perform graphile_worker.add_job('dispatch', run_at => v_now, job_key => 'dispatch:late', max_attempts => 3);
  end if;
  return v_count;
end;
$$;

comment on function bookpost_private.sweep(boolean) is
  'Frees the jobs of workers that stopped beating, closes lookups whose worker died or whose lease ran out as interrupted, and asks for a dispatch where the last is more than a minute ago; thorough (once a minute, by dispatch): also jobs of workers that never beat. Returns how many lookups. Does not commit.';

-- No later than that; null stays null, which `least` would take for the limit.
create function bookpost_private.at_most(at timestamptz, most timestamptz) returns timestamptz
language sql immutable parallel safe
return case when at > most then most else at end;

-- Every stored deadline that is further away than it can have been set lies where it does because the clock was set back.
create function bookpost_private.clamp_deadlines(dispatched_at timestamptz) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_late bigint[];
  v_is_whole boolean := true;
begin
  -- skip locked, everywhere here: it is being written this moment, and the next dispatch looks again.

  -- The clock was set back since the last dispatch: what was written by the old time keeps its distance.
  if dispatched_at > v_now + interval '5 seconds' then
    with ahead as materialized (
      select k.parcel_id from bookpost_private.checks k
      where k.next_check_at > v_now and (k.last_looked_at > v_now or k.last_looked_at is null or k.last_outcome = 'interrupted')
    ),
    held as (
      select k.parcel_id from bookpost_private.checks k
      where k.parcel_id in (select a.parcel_id from ahead a) and k.next_check_at > v_now
      order by k.parcel_id
      for no key update skip locked
    ),
    mended as (
      update bookpost_private.checks c
      set next_check_at = case
          when c.last_looked_at > v_now then greatest(v_now, least(c.next_check_at, v_now + (c.next_check_at - c.last_looked_at)))
          else v_now
        end,
        last_looked_at = bookpost_private.at_most(c.last_looked_at, v_now),
        last_answered_at = bookpost_private.at_most(c.last_answered_at, v_now),
        last_changed_at = bookpost_private.at_most(c.last_changed_at, v_now)
      from held h where c.parcel_id = h.parcel_id
      returning c.parcel_id
    )
    select (select count(*) from mended) = (select count(*) from ahead) into v_is_whole;

    -- What was counted for a day to come was spent on this one.
    update bookpost_private.checks c
    set day = n.day
    from bookpost.carrier_apis a
    cross join lateral (select (v_now at time zone a.day_time_zone)::date as day) n
    where a.code = c.api_code and a.calls_per_parcel_per_day is not null and c.day > n.day
      and c.parcel_id in (select k.parcel_id from bookpost_private.checks k where k.day > n.day order by k.parcel_id for no key update skip locked);
    -- Dispatch and snoozing look a minute ahead.
    select array_agg(j.id) into v_late
    from graphile_worker.jobs j
    where j.task_identifier = 'track_book' and j.locked_at is null and j.run_at > v_now + interval '5 minutes';
  end if;

  update bookpost_private.leases l
  set started_at = least(l.started_at, v_now), call_at = least(l.call_at, v_now + interval '10 seconds'),
    lease_until = v_now + a.lease_duration
  from bookpost.carrier_apis a
  where a.code = l.api_code
    -- 5 seconds of waiting for its moment (next_call), and as much to spare.
    and l.lease_until > v_now + a.lease_duration + interval '10 seconds'
    and l.lookup_id in (select h.lookup_id from bookpost_private.leases h where h.lease_until > v_now for update skip locked);

  update bookpost_private.budgets b
  set not_before = bookpost_private.at_most(b.not_before, v_now + interval '25 hours 10 seconds'),
    next_release_at = least(b.next_release_at, v_now + a.release_duration),
    -- What was counted for a day to come was spent on this one.
    day = least(b.day, n.day)
  from bookpost.carrier_apis a
  cross join lateral (select (v_now at time zone a.day_time_zone)::date as day) n
  where a.code = b.api_code
    -- A day, with the hour that the end of summer time adds.
    and (b.not_before > v_now + interval '25 hours 10 seconds' or b.next_release_at > v_now + a.release_duration + interval '10 seconds' or b.day > n.day)
    and b.api_code in (select k.api_code from bookpost_private.budgets k order by k.api_code for no key update skip locked);

  -- A whole window passes: what was called in it before the clock was set back is then out of it.
  update bookpost_private.call_windows w
  set next_call_at = v_now + w.call_window + bookpost_private.call_slack(w.call_window)
  where w.next_call_at > v_now + 2 * w.call_window + interval '10 seconds'
    and w.api_code in (select k.api_code from bookpost_private.budgets k order by k.api_code for no key update skip locked);

  update bookpost.carrier_circuits c
  set open_until = bookpost_private.at_most(c.open_until, v_now + n.open_for),
    forced_until = bookpost_private.at_most(c.forced_until, v_now + n.open_for),
    probe_until = bookpost_private.at_most(c.probe_until, v_now + a.lease_duration),
    released_at = bookpost_private.at_most(c.released_at, v_now),
    opened_at = bookpost_private.at_most(c.opened_at, v_now)
  from bookpost.carrier_apis a
  cross join lateral (values (true, interval '30 days'), (false, a.max_cooldown)) n (is_forced, open_for)
  where a.code = c.api_code and n.is_forced = c.is_forced
    -- 5 seconds: what others have written since this began is no jump.
    and greatest(
      c.open_until - n.open_for, c.forced_until - n.open_for, c.probe_until - a.lease_duration, c.released_at
    ) > v_now + interval '5 seconds'
    and c.api_code in (select k.api_code from bookpost.carrier_circuits k order by k.api_code for no key update skip locked);

  if v_late is not null then
    perform graphile_worker.reschedule_jobs(v_late, run_at => v_now);
  end if;
  return v_is_whole;
end;
$$;

comment on function bookpost_private.clamp_deadlines(timestamptz) is
  'Brings every stored deadline that is further away than its maximum back to it. Where the last dispatch lies in the future, the clock was set back: then also each parcel''s next look. Returns false where some parcel was in another''s hands: it wants to be called with the same time again. Does not commit.';

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

-- Two deaths may have been another's doing: whoever was under way at both is set aside, and then tried alone, one in all
-- workers at a time. Who lives through it goes on as before, and only the one that kills a third time stays. One that is
-- not looked at within 10 minutes (chosen), since its API cannot be asked, makes way for the next.
create function bookpost_private.try_quarantined_parcel() returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  update bookpost_private.checks c set next_check_at = clock_timestamp(), pause_reason = null
  where c.parcel_id = (
    -- skip locked: someone is at it; the next dispatch looks again.
    select k.parcel_id from bookpost_private.checks k
    where k.pause_reason = 'quarantined' and k.crash_count = bookpost_private.crashes_tolerated() + 1
      and not exists (
        select from bookpost_private.checks t
        where t.crash_count = bookpost_private.crashes_tolerated() + 1
          and (
            t.next_check_at between clock_timestamp() - interval '10 minutes' and clock_timestamp()
            or exists (select from bookpost_private.leases l where l.parcel_id = t.parcel_id)
          )
      )
    order by (select h.reason is not null from bookpost_private.hold(k.api_code) h), k.last_looked_at nulls first, k.parcel_id
    limit 1
    for no key update skip locked
  );
end;

comment on function bookpost_private.try_quarantined_parcel() is
  'Lets one parcel that was set aside after two deaths of workers be looked at once more, unless another is being tried. Does not commit.';
