--! Previous: sha1:0a8cce9913898368b75923f982aba7d3590d7b8f
--! Hash: sha1:a1d9f0847e76991e5d41d9f640a4e7d61cd0c779
--! Message: liveness

-- Who is alive, and freeing what the dead hold. migrations/README.md tells it as a state machine.

-- A worker that has not beaten for this long is taken for dead: five beats missed (src/ops/heartbeat.ts). Chosen so that
-- its parcels are elsewhere within 10 seconds (at 6 seconds real kills took up to 10.8), and no pause of an ordinary garbage
-- collection looks like death.
create function bookpost_private.dead_after() returns interval
language sql immutable parallel safe
return interval '5 seconds';

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
    -- Fetching counts as an attempt, whether or not it was begun. A parcel's crashes are counted by its lookups, a message's by itself.
    attempts = j.attempts - (
      j.attempts > 0 and j.task_id in (select t.id from graphile_worker._private_tasks t where t.identifier in ('track_book', 'send_email', 'send_sms', 'send_webhook'))
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
  'Gives jobs that some workers locked before a time back to the queue, except those listed; a lookup''s or message''s attempt is given back with it. Returns how many. Does not commit.';

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
    where j.task_identifier in ('dispatch', 'track_book', 'maintain', 'send_email', 'send_sms', 'send_webhook')
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
