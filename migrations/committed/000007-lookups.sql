--! Previous: sha1:a51681b3efc80bcd4da340a4a6efc2ec9271ac92
--! Hash: sha1:fcbdebc2b97cc1d6725b77898e64308390712666
--! Message: lookups

-- One lookup: dispatch, acquire, (call,) record. What may happen when is told in
-- migrations/README.md. One lock order everywhere, so that nothing deadlocks:
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

-- The distance between two calls of an API that limits its rate. The window is stretched by a tenth, at most
-- half a second, and a permit must be used within that slack: so a late caller never makes two calls too close.
create function bookpost_private.call_slack(call_window interval) returns interval
language sql immutable strict parallel safe
return least(call_window / 10, interval '500 milliseconds');

create function bookpost_private.next_check_interval(
  outcome text, status text, unchanged_count integer, failure_count integer
) returns interval
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select case
    when o.retry_after is not null then
      least(o.max_retry_after, o.retry_after * power(2, least(next_check_interval.failure_count - 1, 20)))
    when o.outcome in ('updated', 'unchanged', 'not_found') then
      -- Half a day without news, then ever longer.
      least(p.max_check_interval, p.check_interval * greatest(1, next_check_interval.unchanged_count / 12.0))
    else interval '0'
  end
  from bookpost_private.lookup_outcomes o
  cross join bookpost_private.polling_policies p
  where o.outcome = next_check_interval.outcome and p.status = next_check_interval.status;
end;

comment on function bookpost_private.next_check_interval(text, text, integer, integer) is
  'How long until the next look, before jitter: by the outcome''s back-off, else by the status''s policy; 0 where only the API''s own gate counts.';

-- A parcel's status, from the set of its scans: the newest that carries a stage decides.
create function bookpost_private.fold_status(parcel_id uuid, is_return boolean, told_status text, present_status text)
returns table (
  status text, reason_code text, is_action_required boolean,
  delivered_at timestamptz, delivered_local_time timestamp, delivered_time_zone text
)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  with newest as (
    select e.status, e.reason_code, e.is_action_required
    from bookpost.tracking_events e
    where e.parcel_id = fold_status.parcel_id and e.status <> 'unknown'
    order by e.sort_at desc, e.sort_rank desc, e.identity desc
    limit 1
  ),
  stage as (
    select coalesce(
      (select n.status from newest n),
      nullif(told_status, 'unknown'),
      -- What carries no stage overwrites nothing.
      nullif(present_status, 'pending'),
      'unknown'
    ) as status
  ),
  delivery as (
    select e.occurred_at, e.local_time, e.time_zone
    from bookpost.tracking_events e, stage s
    where e.parcel_id = fold_status.parcel_id and e.status = 'delivered' and s.status = 'delivered'
    order by e.sort_at desc, e.sort_rank desc, e.identity desc
    limit 1
  )
  select
    case
      when fold_status.is_return
        and s.status in ('in_transit', 'out_for_delivery', 'available_for_pickup', 'exception', 'delivered')
        then 'return_to_sender'
      else s.status
    end,
    (select n.reason_code from newest n),
    coalesce((select n.is_action_required from newest n), false),
    d.occurred_at, d.local_time, d.time_zone
  from stage s left join delivery d on true;
end;

comment on function bookpost_private.fold_status(uuid, boolean, text, text) is
  'The status told by a parcel''s scans, whatever the order they came in; told_status, and after it the present one, count only where no scan carries a stage. A return that is delivered is return_to_sender with a delivery time. One row always.';

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
    returning l.*
  )
  select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;

  update bookpost_private.checks c
  set next_check_at = clock_timestamp(), last_outcome = 'interrupted', last_error = interrupt_lookups.why
  from unnest(v_leases) l
  where c.parcel_id = l.parcel_id and c.next_check_at is not null;

  insert into bookpost_private.lookups
    (id, parcel_id, api_code, generation, is_probe, worker_id, started_at, finished_at, outcome, error_code, error_message, calls)
  select l.lookup_id, l.parcel_id, l.api_code, l.generation, l.is_probe, l.worker_id, l.started_at, clock_timestamp(),
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

-- How many lookups of an API may go out in the coming minute, and why not more.
create function bookpost_private.gate(api_code text)
returns table (allowance integer, reason text, until timestamptz, spacing interval, next_call_at timestamptz, batch_size integer)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_api bookpost.carrier_apis;
  v_circuit bookpost.carrier_circuits;
  v_budget bookpost_private.budgets;
  v_now timestamptz := clock_timestamp();
  v_day_start timestamp;
begin
  select * into strict v_api from bookpost.carrier_apis a where a.code = gate.api_code;
  select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = gate.api_code;
  select * into strict v_budget from bookpost_private.budgets b where b.api_code = gate.api_code;

  spacing := coalesce((v_api.call_window + bookpost_private.call_slack(v_api.call_window)) / v_api.calls_per_window, interval '0');
  next_call_at := greatest(v_now, v_budget.next_call_at);
  batch_size := v_api.batch_size;
  allowance := 0;
  v_day_start := date_trunc('day', v_now at time zone v_api.day_time_zone);

  if v_budget.parked_at is not null then
    reason := 'parked';
  elsif v_budget.not_before > v_now then
    reason := 'not_before';
    until := v_budget.not_before;
  elsif v_circuit.state = 'open' and v_circuit.open_until > v_now then
    reason := 'circuit_open';
    until := v_circuit.open_until;
  elsif v_circuit.state = 'half_open' and v_circuit.probe_until > v_now then
    reason := 'circuit_half_open';
    until := v_circuit.probe_until;
  elsif v_api.calls_per_day is not null and v_budget.day = v_day_start::date and v_budget.day_calls >= v_api.calls_per_day then
    reason := 'no_budget';
    until := (v_day_start + interval '1 day') at time zone v_api.day_time_zone;
  -- Last of the refusals: a worker that asks for permits has credentials, and may pass this one only.
  elsif not exists (
    select from bookpost_private.workers w
    where w.api_fingerprints ? gate.api_code
      -- Who has only the credentials that were refused last can ask nothing.
      and w.api_fingerprints ->> gate.api_code is distinct from v_budget.parked_fingerprint
  ) then
    reason := 'not_configured';
  elsif v_circuit.state <> 'closed' then
    allowance := 1;
    reason := 'probe';
  else
    allowance := least(
      -- A tick's work at most; the next tick is a minute away.
      100000,
      (v_api.calls_per_day - case when v_budget.day = v_day_start::date then v_budget.day_calls else 0 end) * batch_size,
      case when spacing > '0' then
        greatest(1, floor(extract(epoch from interval '1 minute') / extract(epoch from spacing))::integer) * batch_size
      end
    );
  end if;
  return next;
end;
$$;

comment on function bookpost_private.gate(text) is
  'How many lookups of an API may be dispatched for the coming minute; 0 with the reason and its end, 1 with reason probe when a cooldown has passed.';

-- Puts one job for each due parcel into the queue. Nothing is remembered here: what is due is a column,
-- what is queued is the queue, so a dispatch that dies half-way loses nothing.
create function bookpost_private.dispatch() returns table (api_code text, reason text, dispatched integer)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_gate record;
  v_now timestamptz;
  v_seen_at timestamptz;
  v_seen_id uuid;
  v_seen integer;
  v_specs graphile_worker.job_spec[];
  -- Chosen: small enough to keep memory flat, large enough that 100,000 due books take a handful of rounds.
  v_chunk constant integer := 5000;
begin
  -- One dispatcher at a time. A second one waits for it, since what it was woken for may have been committed after the
  -- first had looked. A third returns at once with nothing: the one that waits has not looked yet, and will see it all.
  if not pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('bookpost.dispatch.next')) then
    return;
  end if;
  begin
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('bookpost.dispatch'));
  exception
    when others or query_canceled then
      perform pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('bookpost.dispatch.next'));
      raise;
  end;
  perform pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('bookpost.dispatch.next'));
  v_now := clock_timestamp();

  perform bookpost_private.sweep(true);
  perform bookpost_private.quarantine_failed_parcels();

  for v_gate in
    select a.code, g.*
    from bookpost.carrier_apis a cross join lateral bookpost_private.gate(a.code) g
    order by a.code
  loop
    api_code := v_gate.code;
    reason := v_gate.reason;
    dispatched := 0;
    v_seen_at := '-infinity';
    v_seen_id := '00000000-0000-0000-0000-000000000000';

    while dispatched < v_gate.allowance loop
      with due as (
        select c.parcel_id, c.next_check_at, c.failure_count
        from bookpost_private.checks c
        where c.api_code = v_gate.code and c.next_check_at <= v_now
          and (c.next_check_at, c.parcel_id) > (v_seen_at, v_seen_id)
        order by c.next_check_at, c.parcel_id
        limit v_chunk
      ),
      fresh as (
        select d.parcel_id, row_number() over (
            -- A probe had better not be the parcel that failed last.
            order by v_gate.reason = 'probe' and d.failure_count > 0, d.next_check_at, d.parcel_id
          ) + dispatched as place
        from due d
        where not exists (
            select from graphile_worker.jobs j
            -- One that failed for good counts too: setting its parcel aside is quarantine's business. One that is
            -- locked for longer than any lookup takes was stranded; the lease still guards its parcel.
            where j.key = 'parcel:' || d.parcel_id and (j.locked_at is null or j.locked_at > v_now - interval '5 minutes')
          )
          and not exists (select from bookpost_private.leases l where l.parcel_id = d.parcel_id)
      ),
      chosen as (
        select f.parcel_id, f.place from fresh f where f.place <= v_gate.allowance
      )
      select
        (select count(*) from due),
        (select d.next_check_at from due d order by d.next_check_at desc, d.parcel_id desc limit 1),
        (select d.parcel_id from due d order by d.next_check_at desc, d.parcel_id desc limit 1),
        (
          select array_agg((
            'track_book', json_build_object('parcelId', c.parcel_id), null,
            v_gate.next_call_at + v_gate.spacing * ((c.place - 1) / v_gate.batch_size), 3, 'parcel:' || c.parcel_id, null, null
          )::graphile_worker.job_spec order by c.place)
          from chosen c
        )
      into v_seen, v_seen_at, v_seen_id, v_specs;

      if v_specs is not null then
        perform graphile_worker.add_jobs(v_specs);
        dispatched := dispatched + array_length(v_specs, 1);
      end if;
      exit when v_seen < v_chunk;
    end loop;
    return next;
  end loop;
end;
$$;

comment on function bookpost_private.dispatch() is
  'Queues one track_book job for each due parcel whose API may be asked, spread over the coming minute at the API''s pace. One row per API: how many, and the reason where it was held back. No rows: one is running and another waits already, which will see all that this one would have. Does not commit.';

-- Asks for permission to look up some parcels. Answers one row for each id.
create function bookpost_private.acquire_lookups(parcel_ids uuid[], worker_id text)
returns table (
  parcel_id uuid, verdict text, retry_at timestamptz,
  lookup_id uuid, batch_id uuid, api_code text, carrier_code text, tracking_number text, is_probe boolean,
  wait_ms integer, use_within_ms integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_locked uuid[];
  v_ready uuid[];
  v_api bookpost.carrier_apis;
  v_budget bookpost_private.budgets;
  v_circuit bookpost.carrier_circuits;
  v_gate record;
  v_code text;
  v_now timestamptz;
  v_day date;
  v_grant integer;
  v_calls integer;
  v_generation integer;
  v_probe_id uuid;
  v_call_at timestamptz;
  v_in_flight integer;
  v_batch_id uuid;
  v_room integer;
  v_refusal text;
  v_until timestamptz;
  -- Chosen: a permit may lie this far in the future; longer and the job would hold its slot for nothing.
  v_horizon constant interval := '5 seconds';
begin
  -- skip locked: whoever holds it is acquiring or recording this parcel now; to us it is busy.
  select coalesce(array_agg(c.parcel_id), '{}') into v_locked
  from (
    select k.parcel_id from bookpost_private.checks k
    where k.parcel_id = any (acquire_lookups.parcel_ids)
    order by k.parcel_id
    for no key update skip locked
  ) c;

  -- A second statement, so that a lease committed while we waited for nothing is seen.
  for parcel_id, verdict, retry_at in
    select
      i.id,
      case
        when k.parcel_id is null then 'gone'
        when not (i.id = any (v_locked)) then 'busy'
        when exists (select from bookpost_private.leases l where l.parcel_id = i.id) then 'busy'
        when k.pause_reason is not null then k.pause_reason
        else 'not_due'
      end,
      k.next_check_at
    from unnest(acquire_lookups.parcel_ids) i (id)
    left join bookpost_private.checks k on k.parcel_id = i.id
    where k.parcel_id is null
      or not (i.id = any (v_locked))
      or k.next_check_at is null
      or k.next_check_at > clock_timestamp()
      or exists (select from bookpost_private.leases l where l.parcel_id = i.id)
  loop
    v_locked := array_remove(v_locked, parcel_id);
    return next;
  end loop;

  -- All budgets before any circuit. Rivals for them wait here for our commit, and then count with it.
  perform 1
  from bookpost_private.budgets b
  where b.api_code in (select k.api_code from bookpost_private.checks k where k.parcel_id = any (v_locked))
  order by b.api_code
  for no key update;

  for v_code in
    select distinct k.api_code from bookpost_private.checks k where k.parcel_id = any (v_locked) order by k.api_code
  loop
    select * into strict v_budget from bookpost_private.budgets b where b.api_code = v_code;
    v_now := clock_timestamp();
    select * into strict v_api from bookpost.carrier_apis a where a.code = v_code;
    select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = v_code;
    select * into strict v_gate from bookpost_private.gate(v_code) g;
    select array_agg(k.parcel_id order by v_circuit.state <> 'closed' and k.failure_count > 0, k.next_check_at, k.parcel_id) into v_ready
    from bookpost_private.checks k where k.parcel_id = any (v_locked) and k.api_code = v_code;
    select count(distinct l.batch_id) into v_in_flight from bookpost_private.leases l where l.api_code = v_code;
    v_batch_id := null;
    v_room := 0;

    v_day := (v_now at time zone v_api.day_time_zone)::date;
    if v_budget.day <> v_day then
      v_budget.day := v_day;
      v_budget.day_calls := 0;
    end if;
    v_grant := 0;
    v_calls := 0;
    v_generation := v_circuit.generation;
    v_probe_id := null;
    v_refusal := null;
    -- A worker that asks has credentials; that its first beat is not in yet must not stop it.
    if v_gate.allowance = 0 and v_gate.reason <> 'not_configured' then
      v_refusal := v_gate.reason;
      v_until := v_gate.until;
    -- Another worker's credentials ended the parking; this one still has those that were refused.
    elsif v_budget.parked_fingerprint = (
      select w.api_fingerprints ->> v_code from bookpost_private.workers w where w.id = acquire_lookups.worker_id
    ) then
      v_refusal := 'parked';
      v_until := null;
    end if;

    for i in 1 .. array_length(v_ready, 1) loop
      parcel_id := v_ready[i];
      api_code := v_code;
      lookup_id := null;
      batch_id := null;
      carrier_code := null;
      tracking_number := null;
      is_probe := false;
      wait_ms := null;
      use_within_ms := null;
      -- One that shares the request before it costs nothing more.
      if v_room = 0 then
        v_call_at := greatest(v_now, v_budget.next_call_at);
      end if;

      if v_refusal is null and v_probe_id is not null and v_grant = 1 then
        v_refusal := 'circuit_half_open';
        v_until := v_now + v_api.lease_duration;
      elsif v_refusal is null and v_room = 0 and v_in_flight + v_calls >= v_api.calls_in_flight then
        v_refusal := 'no_budget';
        -- Someone will have come back by then.
        v_until := v_now + interval '1 second';
      elsif v_refusal is null and v_room = 0 and v_budget.day_calls >= v_api.calls_per_day then
        v_refusal := 'no_budget';
        v_until := ((v_day + 1)::timestamp) at time zone v_api.day_time_zone;
      elsif v_refusal is null and v_room = 0 and v_call_at > v_now + v_horizon then
        v_refusal := 'no_budget';
        v_until := v_call_at;
      end if;

      -- Only now, when nothing else stands in the way: the one probe.
      if v_refusal is null and v_circuit.state <> 'closed' then
        v_probe_id := gen_random_uuid();
        v_generation := bookpost_private.claim_probe(v_code, v_probe_id);
        if v_generation is null then
          v_probe_id := null;
          v_refusal := 'circuit_half_open';
          v_until := v_now + v_api.lease_duration;
        end if;
      end if;

      if v_refusal is not null then
        verdict := v_refusal;
        retry_at := v_until;
        return next;
        -- Later ones queue up behind, at the API's pace.
        if v_refusal = 'no_budget' and v_gate.spacing > '0' then
          v_until := v_until + v_gate.spacing;
        end if;
        continue;
      end if;

      verdict := 'permit';
      retry_at := null;
      is_probe := v_probe_id is not null;
      lookup_id := coalesce(v_probe_id, gen_random_uuid());
      select p.carrier_code, p.tracking_number into carrier_code, tracking_number
      from bookpost.parcels p where p.id = v_ready[i];
      if v_room = 0 then
        v_batch_id := gen_random_uuid();
        v_room := v_api.batch_size;
        v_calls := v_calls + 1;
        v_budget.day_calls := v_budget.day_calls + 1;
        if v_gate.spacing > '0' then
          v_budget.next_call_at := v_call_at + v_gate.spacing;
        end if;
      end if;
      v_room := v_room - 1;
      batch_id := v_batch_id;
      insert into bookpost_private.leases
        (parcel_id, lookup_id, batch_id, api_code, generation, is_probe, worker_id, started_at, lease_until)
      values (
        v_ready[i], lookup_id, v_batch_id, v_code, v_generation, is_probe, acquire_lookups.worker_id,
        v_now, v_call_at + v_api.lease_duration
      );
      wait_ms := greatest(0, ceil(extract(epoch from v_call_at - v_now) * 1000))::integer;
      use_within_ms := (extract(epoch from coalesce(bookpost_private.call_slack(v_api.call_window), v_api.lease_duration / 2)) * 1000)::integer;
      v_grant := v_grant + 1;
      return next;
    end loop;

    if v_grant > 0 then
      update bookpost_private.budgets b
      set day = v_budget.day, day_calls = v_budget.day_calls, next_call_at = v_budget.next_call_at
      where b.api_code = v_code;
    end if;
  end loop;
end;
$$;

comment on function bookpost_private.acquire_lookups(uuid[], text) is
  'For each parcel a permit (with the lookup''s id, when to call and within how long, and the batch: those with one batch_id share one request) or a verdict: busy, gone, not_due, closed, no_api, quarantined, circuit_open, circuit_half_open, not_before, no_budget, parked; retry_at says until when. A refused parcel is not written. Does not commit; commit before calling the carrier.';

-- A permit that was not used goes back: the parcel stays due, the day's count is given back.
create function bookpost_private.release_lookups(lookup_ids uuid[], reason text) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_leases bookpost_private.leases[];
  v_lease record;
begin
  perform 1
  from bookpost_private.checks c
  where c.parcel_id in (select l.parcel_id from bookpost_private.leases l where l.lookup_id = any (lookup_ids))
  order by c.parcel_id
  for no key update;

  with gone as (
    delete from bookpost_private.leases l where l.lookup_id = any (lookup_ids) returning l.*
  )
  select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;

  for v_lease in
    -- Not where requests are shared: another lookup of the batch may have sent it.
    select l.api_code, (l.started_at at time zone a.day_time_zone)::date as day, count(*) as released
    from unnest(v_leases) l join bookpost.carrier_apis a on a.code = l.api_code and a.batch_size = 1
    group by 1, 2 order by 1, 2
  loop
    update bookpost_private.budgets b set day_calls = greatest(0, b.day_calls - v_lease.released)
    where b.api_code = v_lease.api_code and b.day = v_lease.day;
  end loop;
  -- All budgets before any circuit.
  for v_lease in select l.* from unnest(v_leases) l where l.is_probe order by l.api_code loop
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe was not sent: ' || release_lookups.reason);
  end loop;
  return coalesce(array_length(v_leases, 1), 0);
end;
$$;

comment on function bookpost_private.release_lookups(uuid[], text) is
  'Gives back permits under which no request went out. Returns how many were still held. Does not commit.';
