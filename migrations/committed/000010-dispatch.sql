--! Previous: sha1:89c97dd1f90452fa5c69132ce3083ce31ec599c5
--! Hash: sha1:844fdad277280a843c1c7afcfb7f4a2819d31380
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
