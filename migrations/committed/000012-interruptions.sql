--! Previous: sha1:694fa63b04268387b1d2cd776b0f4d6f4f88bdb3
--! Hash: sha1:0a8cce9913898368b75923f982aba7d3590d7b8f
--! Message: interruptions

-- Lookups that do not end, and parcels that are set aside.

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
  set next_check_at = case when not n.is_set_aside
      then greatest(v_now, bookpost_private.parcel_may_be_asked_at(l.api_code, n.day, n.day_calls))
    end,
    pause_reason = case when n.is_set_aside then 'quarantined' end,
    last_outcome = 'interrupted', day = n.day, day_calls = n.day_calls, crash_count = n.crash_count,
    last_error = case when is_crash then format('A worker died while it looked, %s in a row.', n.crash_count) else interrupt_lookups.why end
  from unnest(v_leases) l
  join bookpost_private.checks k on k.parcel_id = l.parcel_id
  join bookpost.carrier_apis a on a.code = l.api_code
  cross join lateral bookpost_private.day_of(v_now, a.day_time_zone) d
  cross join lateral (
    select d.day, case when k.day = d.day then k.day_calls else 0 end + 1 as day_calls, k.crash_count + is_crash::integer as crash_count,
      is_crash and k.crash_count >= bookpost_private.crashes_tolerated() as is_set_aside
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
