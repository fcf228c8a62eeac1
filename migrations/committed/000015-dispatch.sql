--! Previous: sha1:d359058053726716b044df8515eaf2c2bf777dae
--! Hash: sha1:93ed33afb931f842035086bc1130d268149766ac
--! Message: dispatch

-- What is due goes into the queue. What may happen when is told in migrations/README.md.

-- Puts one job for each due parcel into the queue. Nothing is remembered here: what is due is a column,
-- what is queued is the queue, so a dispatch that dies half-way loses nothing.
create function bookpost_private.dispatch() returns table (api_code text, reason text, dispatched integer)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_gate record;
  v_now timestamptz;
  v_worst_probe uuid;
  v_spacing interval;
  v_queued integer;
  v_chosen uuid[];
  v_is_clamped boolean;
  -- Chosen: what a minute can take at most (gate says no more either), and chunks that keep memory flat.
  v_most constant integer := 100000;
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

  perform bookpost_private.sweep(true);
  perform bookpost_private.quarantine_failed_parcels();
  perform bookpost_private.try_quarantined_parcel();
  perform bookpost_private.repair_deliveries();
  select bookpost_private.clamp_deadlines(d.dispatched_at) into strict v_is_clamped from bookpost_private.dispatch_clock d;
  -- Only now: what these have made due goes with this dispatch.
  v_now := clock_timestamp();
  -- Nobody waits for this row: dispatchers go one at a time, others only read it. Where a parcel was left out, the time in
  -- the future stays, and with it the next sweep's wish for another dispatch.
  update bookpost_private.dispatch_clock d set dispatched_at = v_now where v_is_clamped;

  for v_gate in
    select a.code, coalesce(a.calls_per_parcel_per_day, 2147483647) as calls_per_parcel_per_day,
      (v_now at time zone a.day_time_zone)::date as today, g.*
    from bookpost.carrier_apis a cross join lateral bookpost_private.gate(a.code) g
    order by a.code
  loop
    api_code := v_gate.code;
    reason := v_gate.reason;
    dispatched := 0;
    if v_gate.urgent_allowance > 0 then
      v_worst_probe := case when v_gate.reason = 'probe' then bookpost_private.last_failed_parcel(v_gate.code) end;

      with due as (
        -- The longest overdue; who of them goes first is said below.
        select c.parcel_id, c.next_check_at - c.head_start as turn_at, bookpost_private.is_urgent(c.next_check_at - c.head_start, v_now) as is_urgent,
          c.failure_count
        from bookpost_private.checks c
        where c.api_code = v_gate.code and c.next_check_at <= v_now
          -- One whose own calls of the day are spent would be refused, and another had not been sent.
          and not (c.day = v_gate.today and c.day_calls >= v_gate.calls_per_parcel_per_day)
        order by c.next_check_at, c.parcel_id
        limit v_most
      ),
      queued as materialized (
        select d.parcel_id, j.locked_at is null and j.attempts < j.max_attempts as is_waiting
        from due d
        -- One that failed for good counts too: setting its parcel aside is quarantine's business. One that is
        -- locked for longer than any lookup takes was stranded; the lease still guards its parcel.
        join graphile_worker.jobs j on j.key = 'parcel:' || d.parcel_id
        where j.locked_at is null or j.locked_at > v_now - interval '5 minutes'
      ),
      fresh as (
        select d.*,
          row_number() over (
            order by d.parcel_id is not distinct from v_worst_probe, v_gate.reason is not distinct from 'probe' and d.failure_count > 0, d.turn_at, d.parcel_id
          ) as place,
          row_number() over (partition by d.is_urgent order by d.turn_at, d.parcel_id) as urgent_place
        from due d
        where not exists (select from queued q where q.parcel_id = d.parcel_id)
          and not exists (select from bookpost_private.leases l where l.parcel_id = d.parcel_id)
      ),
      waiting as (
        -- They take their part of the coming minute.
        select count(*) as n from queued q where q.is_waiting
      )
      select (select w.n from waiting w), array_agg(f.parcel_id order by f.place)
      into v_queued, v_chosen
      from fresh f, waiting w
      where f.place <= v_gate.allowance - w.n
        -- There is one probe, whoever is urgent.
        or (v_gate.reason is distinct from 'probe' and f.is_urgent and f.urgent_place <= v_gate.urgent_allowance - w.n);
    else
      v_chosen := null;
    end if;
    dispatched := coalesce(array_length(v_chosen, 1), 0);

    -- At the API's pace; where that is slower than one a minute and more are let through, within the minute. What may be in
    -- flight goes at once, the rest as those come back.
    v_spacing := greatest(
      v_gate.release_spacing, least(v_gate.spacing, interval '1 minute' / greatest(1, (dispatched - 1) / v_gate.batch_size))
    );
    for i in 0 .. (dispatched - 1) / v_chunk loop
      exit when dispatched = 0;
      perform graphile_worker.add_jobs(array(
        select (
          'track_book', json_build_object('parcelId', c.parcel_id), null,
          v_gate.next_call_at + greatest(v_spacing * r.request, v_gate.flow_spacing * (r.request - v_gate.calls_in_flight)),
          3, 'parcel:' || c.parcel_id, null, null
        )::graphile_worker.job_spec
        from unnest(v_chosen[i * v_chunk + 1 : (i + 1) * v_chunk]) with ordinality c (parcel_id, place)
        cross join lateral (select (v_queued + i * v_chunk + c.place - 1) / v_gate.batch_size as request) r
        order by c.place
      ));
    end loop;
    return next;
  end loop;
end;
$$;

comment on function bookpost_private.dispatch() is
  'Queues one track_book job for each due parcel whose API may be asked, spread over the coming minute at the API''s pace. Where not all can go, those whose turn it is (longest due, with their head start) go first. One row per API: how many, and the reason where it was held back. No rows: one is running and another waits already, which will see all that this one would have. Does not commit.';
