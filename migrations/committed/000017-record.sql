--! Previous: sha1:c59ecf7e42880c0f1df226f174e7c19064c13726
--! Hash: sha1:b6ba8bbac1e14051292ded3f0ee84108fd206369
--! Message: record

-- Writing down how lookups ended: one commit for everything learnt.

-- A parcel's status, from the set of its scans: the newest that carries a stage decides.
create function bookpost_private.fold_status(parcel_id uuid, is_return boolean, told_status text, present_status text)
returns table (
  status text, reason_code text, is_action_required boolean,
  delivered_at timestamptz, delivered_local_time timestamp, delivered_time_zone text, is_set_aside boolean
)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  with scans as not materialized (
    select e.*, bookpost_private.is_of_earlier_life(e.occurred_at, e.local_time, e.is_date_only, p.sent_on, p.created_at) as is_earlier
    from bookpost.tracking_events e
    join bookpost.parcels p on p.id = e.parcel_id
    where e.parcel_id = fold_status.parcel_id
  ),
  newest as (
    select e.status, e.reason_code, e.is_action_required
    from scans e
    where e.status <> 'unknown' and not e.is_earlier
    order by e.sort_at desc, e.sort_rank desc, e.identity desc
    limit 1
  ),
  earlier as (
    select exists (select from scans e where e.is_earlier) as is_told,
      not exists (select from scans e where not e.is_earlier) as is_all
  ),
  stage as (
    select coalesce(
      (select n.status from newest n),
      case
        when r.is_told and r.is_all then 'pending'
        -- The carrier's own word for where it is may be the earlier parcel's as well.
        when not r.is_told then nullif(told_status, 'unknown')
      end,
      -- What carries no stage overwrites nothing.
      nullif(present_status, 'pending'),
      'unknown'
    ) as status, r.is_told and r.is_all as is_set_aside
    from earlier r
  ),
  delivery as (
    select e.occurred_at, e.local_time, e.time_zone
    from scans e, stage s
    where e.status = 'delivered' and s.status = 'delivered' and not e.is_earlier
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
    d.occurred_at, d.local_time, d.time_zone,
    s.is_set_aside
  from stage s left join delivery d on true;
end;

comment on function bookpost_private.fold_status(uuid, boolean, text, text) is
  'The status told by a parcel''s scans, whatever the order they came in; told_status, and after it the present one, count only where no scan carries a stage. Scans of an earlier life of the number count for nothing; is_set_aside: there are no others, and the status is pending. A return that is delivered is return_to_sender with a delivery time. One row always.';

-- A day: less is noise (chosen). An estimate that is told for the first time has not moved.
create function bookpost_private.has_estimate_moved(told timestamp, estimate timestamp) returns boolean
language sql immutable parallel safe
return coalesce(estimate - told >= interval '1 day' or told - estimate >= interval '1 day', false);

create type bookpost_private.lookup_report as (
  -- What the worker sends.
  lookup_id uuid,
  outcome text,
  error_code text,
  error_message text,
  retry_after_ms double precision,
  is_api_wide boolean,
  calls jsonb,
  body text,
  digest text,
  status text,
  raw_status text,
  raw_text text,
  is_return boolean,
  estimated_from timestamp,
  estimated_until timestamp,
  estimated_time_zone text,
  is_estimate_a_date boolean,
  signed_by text,
  tracking_url text,
  events jsonb,
  -- What its lease adds.
  parcel_id uuid,
  batch_id uuid,
  api_code text,
  generation integer,
  is_probe boolean,
  worker_id text,
  started_at timestamptz,
  call_at timestamptz,
  paid_calls integer
);

comment on type bookpost_private.lookup_report is
  'The end of one lookup. outcome: found, or a word of lookup_outcomes; is_api_wide: a refusal that concerns our credentials, not this parcel; calls: [{kind, http_status, age_ms, duration_ms}]; events: the columns of tracking_events.';

-- How long a carrier asked us to wait: between a second and a day, whatever it said; null where it said nothing.
-- Strict, since `least` and `greatest` would take a null for their other argument.
create function bookpost_private.retry_after(milliseconds double precision) returns interval
language sql immutable strict parallel safe
return make_interval(secs => greatest(1000, least(milliseconds, 86400000)) / 1000.0);

-- Brings a parcel's row in line with its scans after a person changed what counts. The caller holds the lock on its row in checks.
create function bookpost_private.refold_parcel(parcel_id uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_is_new boolean;
  v_is_called boolean;
begin
  update bookpost.parcels p set
    status = f.status,
    status_version = p.status_version + (p.status <> f.status)::integer,
    status_changed_at = case when p.status <> f.status then clock_timestamp() else p.status_changed_at end,
    notice_version = p.notice_version + (f.is_action_required and not p.is_action_required)::integer,
    reason_code = f.reason_code,
    is_action_required = f.is_action_required,
    delivered_at = f.delivered_at,
    delivered_local_time = f.delivered_local_time,
    delivered_time_zone = f.delivered_time_zone
  from bookpost.parcels o
  cross join lateral bookpost_private.fold_status(o.id, o.is_return, null, o.status) f
  where p.id = refold_parcel.parcel_id and o.id = p.id
  returning p.status <> o.status, p.is_action_required and not o.is_action_required into v_is_new, v_is_called;
  if v_is_new or v_is_called then
    perform bookpost_private.notify_owners(
      case when v_is_new then array[refold_parcel.parcel_id] end,
      case when v_is_called then array[refold_parcel.parcel_id] end
    );
  end if;
  perform bookpost_private.close_finished_parcels(array[refold_parcel.parcel_id]);
end;
$$;

comment on function bookpost_private.refold_parcel(uuid) is
  'Sets a parcel''s status by its scans, tells its owners of a change, and closes it where it has run its course. Does not commit.';

create function bookpost_private.record_lookups(reports jsonb, worker_id text)
returns table (lookup_id uuid, parcel_id uuid, outcome text, status text, previous_status text)
language plpgsql
set search_path = pg_catalog, pg_temp
-- Rivals hold budgets and circuits for milliseconds. What is locked for longer is a row that an app is deleting.
set lock_timeout = '1s'
-- Its statements find rows by ids in arrays. A plan of its own for each call is no better; the largest was made anew each time.
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_now timestamptz := clock_timestamp();
  v_ids uuid[];
  v_locked uuid[];
  v_leases bookpost_private.leases[];
  v_work bookpost_private.lookup_report[];
  v_stale integer;
  v_api record;
  v_previous jsonb;
  v_changed uuid[];
  v_called uuid[];
  v_moved uuid[];
begin
  -- In class 22, so that the sender finds the one that is wrong.
  if exists (
    select from jsonb_array_elements(reports) r
    where coalesce(r ->> 'outcome', '') <> 'found'
      and not exists (select from bookpost_private.lookup_outcomes o where o.outcome = r ->> 'outcome')
  ) then
    raise exception 'A report has no outcome, or one that lookup_outcomes does not list.' using errcode = '22023';
  end if;
  select coalesce(array_agg((r ->> 'lookup_id')::uuid), '{}') into v_ids from jsonb_array_elements(reports) r;

  -- 1. Checks, in one order everywhere. skip locked: an app's transaction may hold one for long, and must not hold up the
  -- lookups of all other parcels; that one keeps its lease, and its sender comes again.
  select coalesce(array_agg(c.parcel_id), '{}') into v_locked
  from (
    select k.parcel_id from bookpost_private.checks k
    where k.parcel_id in (select l.parcel_id from bookpost_private.leases l where l.lookup_id = any (v_ids))
    order by k.parcel_id
    for no key update skip locked
  ) c;
  for lookup_id, parcel_id, outcome in
    select l.lookup_id, l.parcel_id, 'busy'
    from bookpost_private.leases l
    where l.lookup_id = any (v_ids) and not (l.parcel_id = any (v_locked))
  loop
    v_ids := array_remove(v_ids, lookup_id);
    return next;
  end loop;

  -- 2. The fence: a lookup without its lease is stale and changes nothing. So is one whose last book has gone or got another
  -- number meanwhile, though its parcel is still to be closed: the next sweep does that, and frees the lease. Not here, where
  -- a probe that is given back would lock its circuit before the budgets.
  with gone as (
    delete from bookpost_private.leases l
    where l.lookup_id = any (v_ids) and l.parcel_id = any (v_locked)
      and exists (select from bookpost.parcel_books pb where pb.parcel_id = l.parcel_id and pb.stopped_at is null)
    returning l.*
  )
  select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;

  v_stale := coalesce(array_length(v_ids, 1), 0) - coalesce(array_length(v_leases, 1), 0);
  if v_stale > 0 then
    update bookpost_private.workers w set stale_results = w.stale_results + v_stale where w.id = record_lookups.worker_id;
    -- It was taken for dead, and has not beaten since.
    if not found then
      update bookpost_private.worker_deaths d set stale_results = d.stale_results + v_stale
      where d.worker_id = record_lookups.worker_id
        and d.found_at = (select max(m.found_at) from bookpost_private.worker_deaths m where m.worker_id = record_lookups.worker_id);
    end if;
  end if;
  if v_leases = '{}' then
    return;
  end if;

  select array_agg(
    jsonb_populate_record(
      -- The lease over the report: which parcel it is about is not the sender's to say.
      jsonb_populate_record(
        jsonb_populate_record(null::bookpost_private.lookup_report, r.report), to_jsonb(l) - 'calls' || jsonb_build_object('paid_calls', l.calls)
      ),
      jsonb_build_object('outcome', case
        when r.report ->> 'outcome' <> 'found' then r.report ->> 'outcome'
        when r.report ->> 'digest' = c.digest then 'unchanged'
        else 'updated'
      end)
    ) order by r.place
  ) into v_work
  from jsonb_array_elements(reports) with ordinality r (report, place)
  join unnest(v_leases) l on l.lookup_id = (r.report ->> 'lookup_id')::uuid
  join bookpost_private.checks c on c.parcel_id = l.parcel_id;

  select jsonb_object_agg(p.id, p.status) into v_previous
  from bookpost.parcels p join unnest(v_leases) l on l.parcel_id = p.id;

  -- 3. The scans. Told again, a scan keeps its row, and what it becomes does not depend on which telling came first: its
  -- place is the latest one, so where the fullest history puts it (see orderEvents in src/carriers), but an instant that is
  -- known goes before any wall clock; what one telling left out is filled in from another; a code that we have learnt since
  -- gets its stage.
  insert into bookpost.tracking_events as e
    (parcel_id, identity, occurred_at, local_time, time_zone, is_date_only, raw_time, status, raw_code, is_code_listed,
     description, location, country_code, reason_code, is_action_required, sort_at, sort_rank)
  select distinct on (w.parcel_id, n.identity)
    w.parcel_id, n.identity, n.occurred_at, n.local_time, n.time_zone, n.is_date_only, n.raw_time, n.status, n.raw_code,
    n.is_code_listed, n.description, n.location, n.country_code, n.reason_code, n.is_action_required, n.sort_at, n.sort_rank
  from unnest(v_work) w
  cross join lateral jsonb_to_recordset(w.events) n (
    identity text, occurred_at timestamptz, local_time timestamp, time_zone text, is_date_only boolean, raw_time text,
    status text, raw_code text, is_code_listed boolean, description text, location text, country_code text,
    reason_code text, is_action_required boolean, sort_at timestamptz, sort_rank smallint
  )
  where w.outcome = 'updated'
  order by w.parcel_id, n.identity, n.occurred_at is not null desc, n.sort_at desc, n.sort_rank desc
  on conflict (parcel_id, identity) do update
    set (occurred_at, local_time, time_zone, is_date_only, raw_time, sort_at, sort_rank) = (
        select t.*
        from (values
          (e.occurred_at, e.local_time, e.time_zone, e.is_date_only, e.raw_time, e.sort_at, e.sort_rank),
          (excluded.occurred_at, excluded.local_time, excluded.time_zone, excluded.is_date_only, excluded.raw_time,
            excluded.sort_at, excluded.sort_rank)
        ) t (occurred_at, local_time, time_zone, is_date_only, raw_time, sort_at, sort_rank)
        -- The last three: so that two tellings of one instant end alike, whichever came first.
        order by t.occurred_at is not null desc, t.sort_at desc, t.sort_rank desc,
          t.local_time desc nulls last, t.time_zone desc nulls last, t.raw_time desc
        limit 1
      ),
      status = case when e.is_code_listed then e.status else excluded.status end,
      is_code_listed = e.is_code_listed or excluded.is_code_listed,
      description = coalesce(e.description, excluded.description),
      location = coalesce(e.location, excluded.location),
      country_code = coalesce(e.country_code, excluded.country_code),
      reason_code = coalesce(e.reason_code, excluded.reason_code),
      is_action_required = e.is_action_required or excluded.is_action_required
    where (
        excluded.occurred_at is not null, excluded.sort_at, excluded.sort_rank,
        coalesce(excluded.local_time, '-infinity'), coalesce(excluded.time_zone, ''), excluded.raw_time
      ) > (
        e.occurred_at is not null, e.sort_at, e.sort_rank,
        coalesce(e.local_time, '-infinity'), coalesce(e.time_zone, ''), e.raw_time
      )
      or (excluded.is_code_listed and not e.is_code_listed)
      or (excluded.is_action_required and not e.is_action_required)
      or (e.description is null and excluded.description is not null)
      or (e.location is null and excluded.location is not null)
      or (e.country_code is null and excluded.country_code is not null)
      or (e.reason_code is null and excluded.reason_code is not null);

  -- 4. The status, and who is told of it.
  with target as (
    select w.*, p.status as old_status, p.is_action_required as was_action_required, p.told_estimated_until as told_estimate,
      p.is_return or coalesce(w.is_return, false) as returns, f.status as new_status,
      f.reason_code, f.is_action_required, f.delivered_at, f.delivered_local_time, f.delivered_time_zone
    from unnest(v_work) w
    join bookpost.parcels p on p.id = w.parcel_id
    cross join lateral bookpost_private.fold_status(w.parcel_id, p.is_return or coalesce(w.is_return, false), w.status, p.status) f
    -- What is told of an earlier parcel with this number says nothing of this one, who signed and where it was due included.
    where w.outcome = 'updated' and not f.is_set_aside
  ),
  changed as (
    update bookpost.parcels p set
      status = t.new_status,
      status_version = p.status_version + (p.status <> t.new_status)::integer,
      status_changed_at = case when p.status <> t.new_status then v_now else p.status_changed_at end,
      notice_version = p.notice_version
        + ((t.is_action_required and not p.is_action_required) or bookpost_private.has_estimate_moved(p.told_estimated_until, t.estimated_until))::integer,
      raw_status = t.raw_status,
      raw_text = t.raw_text,
      reason_code = t.reason_code,
      is_action_required = t.is_action_required,
      is_return = t.returns,
      first_estimated_from = coalesce(p.first_estimated_from, t.estimated_from),
      first_estimated_until = coalesce(p.first_estimated_until, t.estimated_until),
      estimated_from = coalesce(t.estimated_from, p.estimated_from),
      estimated_until = coalesce(t.estimated_until, p.estimated_until),
      estimated_time_zone = case when t.estimated_from is null then p.estimated_time_zone else t.estimated_time_zone end,
      is_estimate_a_date = case when t.estimated_from is null then p.is_estimate_a_date else t.is_estimate_a_date end,
      -- A new stage is told with the estimate.
      told_estimated_until = case
        when p.told_estimated_until is null or p.status <> t.new_status
          or bookpost_private.has_estimate_moved(p.told_estimated_until, t.estimated_until)
          then coalesce(t.estimated_until, p.told_estimated_until)
        else p.told_estimated_until
      end,
      delivered_at = t.delivered_at,
      delivered_local_time = t.delivered_local_time,
      delivered_time_zone = t.delivered_time_zone,
      signed_by = coalesce(t.signed_by, p.signed_by),
      tracking_url = coalesce(t.tracking_url, p.tracking_url)
    from target t
    where p.id = t.parcel_id
    returning p.id, p.status <> t.old_status as is_new, p.is_action_required and not t.was_action_required as is_called,
      bookpost_private.has_estimate_moved(t.told_estimate, t.estimated_until) as is_moved
  )
  select array_agg(c.id) filter (where c.is_new), array_agg(c.id) filter (where c.is_called), array_agg(c.id) filter (where c.is_moved)
  into v_changed, v_called, v_moved
  from changed c;
  perform bookpost_private.notify_owners(
    v_changed, v_called, v_moved,
    array(select w.parcel_id from unnest(v_work) w where w.outcome in ('updated', 'unchanged'))
  );

  update bookpost.parcel_books b set first_synced_at = v_now
  from unnest(v_work) w
  where b.parcel_id = w.parcel_id and b.first_synced_at is null and w.outcome in ('updated', 'unchanged');

  -- One that had been set aside lives: the next of those is tried.
  if exists (
    select from unnest(v_work) w join bookpost_private.checks c on c.parcel_id = w.parcel_id
    where c.crash_count > bookpost_private.crashes_tolerated()
  ) then
    perform bookpost_private.wake_dispatch();
  end if;

  -- 5. When to look again.
  update bookpost_private.checks c set
    last_looked_at = v_now,
    last_outcome = n.outcome,
    last_error = n.error,
    last_answered_at = case when n.effect = 'success' then v_now else c.last_answered_at end,
    last_changed_at = n.last_changed_at,
    digest = case when n.outcome = 'updated' then n.digest else c.digest end,
    unchanged_count = n.unchanged_count,
    failure_count = n.failure_count,
    crash_count = 0,
    utc_offset = n.utc_offset,
    day = n.day,
    day_calls = n.day_calls,
    -- Who has asked for a look keeps her head start until there was one.
    head_start = case when n.effect = 'success' then bookpost_private.head_start(
      n.status, v_now, n.estimated_from, n.estimated_until, n.utc_offset, n.declared_value
    ) else c.head_start end,
    next_check_at = greatest(
      case
        when n.is_api_wide then v_now
        -- Our own side knows when: the next request can be paid for then.
        when n.outcome = 'local' and n.retry_after is not null then v_now + n.retry_after
        else bookpost_private.next_check_at(
          n.api_code, n.outcome, n.status, v_now, n.last_changed_at, n.unchanged_count, n.failure_count,
          n.estimated_from, n.estimated_until, n.utc_offset
        )
      end,
      -- Whom the carrier was not asked about need not wait for that: a token was all that went out.
      case when n.is_asked and n.is_api_wide is not true then v_now + n.min_check_interval end,
      case when n.effect = 'failure' then v_now + n.retry_after end,
      case when n.calls_per_parcel_per_day is not null then bookpost_private.parcel_may_be_asked_at(n.api_code, n.day, n.day_calls) end
    ),
    -- An end that could be recorded proves that it moves again.
    pause_reason = null
  from (
    select w.parcel_id, w.api_code, w.outcome, w.digest, w.is_api_wide, bookpost_private.retry_after(w.retry_after_ms) as retry_after,
      p.status, p.estimated_from, p.estimated_until, o.circuit_effect as effect, a.min_check_interval, a.calls_per_parcel_per_day,
      left(w.error_code || coalesce(': ' || w.error_message, ''), 500) as error,
      case when w.outcome = 'updated' then v_now else k.last_changed_at end as last_changed_at,
      case when w.outcome = 'updated' then 0 when o.circuit_effect = 'success' then k.unchanged_count + 1 else k.unchanged_count end as unchanged_count,
      case
        when o.circuit_effect = 'success' then 0
        when o.retry_after is null or (w.outcome = 'local' and w.retry_after_ms is not null) then k.failure_count
        else k.failure_count + 1
      end as failure_count,
      coalesce(z.utc_offset, k.utc_offset) as utc_offset,
      coalesce(q.day, k.day) as day,
      case when q.day <> k.day then 0 else k.day_calls end + q.calls as day_calls,
      q.is_asked,
      v.declared_value
    from unnest(v_work) w
    join bookpost_private.lookup_outcomes o on o.outcome = w.outcome
    join bookpost.carrier_apis a on a.code = w.api_code
    join bookpost.parcels p on p.id = w.parcel_id
    join bookpost_private.checks k on k.parcel_id = w.parcel_id
    -- Only a new answer can move it.
    left join lateral (
      select e.local_time - (e.occurred_at at time zone 'UTC') as utc_offset
      from bookpost.tracking_events e
      where w.outcome = 'updated' and e.parcel_id = w.parcel_id
        and e.occurred_at is not null and e.local_time is not null and not e.is_date_only
      order by e.sort_at desc, e.sort_rank desc, e.identity desc
      limit 1
    ) z on true
    -- Where each parcel's calls are limited. A batch's request is told with one of its lookups and asked about all.
    cross join lateral (
      select case when a.calls_per_parcel_per_day is not null then (v_now at time zone a.day_time_zone)::date end as day,
        case when a.calls_per_parcel_per_day is not null and i.is_asked then greatest(1, i.lookups) else 0 end as calls,
        i.is_asked
      from (
        select j.lookups, case when w.calls = '[]' then w.outcome <> 'local' else j.lookups > 0 end as is_asked
        from (
          select count(*)::integer as lookups from jsonb_array_elements(w.calls) e where e ->> 'kind' = 'lookup'
        ) j
      ) i
    ) q
    left join lateral (
      select sum(bookpost_private.comparable_value(b.declared_value, b.declared_currency)) as declared_value
      from bookpost.parcel_books pb join bookpost.books b on b.id = pb.book_id
      where pb.parcel_id = w.parcel_id and pb.stopped_at is null
    ) v on true
  ) n
  where c.parcel_id = n.parcel_id;

  -- Whatever the outcome: a carrier may have forgotten a parcel that was delivered long ago.
  perform bookpost_private.close_finished_parcels(array(select w.parcel_id from unnest(v_work) w));

  -- 6. Budgets, only where there is something to write: calls that were paid for and not made, or the other way round; waiting; parking.
  for v_api in
    select w.api_code, a.day_time_zone,
      -- What was paid for yesterday is not today's.
      coalesce(sum(jsonb_array_length(w.calls) - w.paid_calls) filter (
        where (w.call_at at time zone a.day_time_zone)::date = (v_now at time zone a.day_time_zone)::date
      ), 0) as extra_calls,
      max(case
        when w.outcome = 'rate_limited' then
          -- 1 minute where the carrier named no time (chosen).
          v_now + coalesce(bookpost_private.retry_after(w.retry_after_ms), interval '1 minute')
        when w.outcome = 'out_of_quota' then coalesce(
          v_now + bookpost_private.retry_after(w.retry_after_ms),
          (((v_now at time zone a.day_time_zone)::date + 1)::timestamp) at time zone a.day_time_zone + bookpost_private.day_margin()
        )
      end) as not_before,
      max(w.outcome) filter (where w.outcome in ('rate_limited', 'out_of_quota')) as wait_reason,
      max(coalesce(w.error_code, 'REJECTED')) filter (where w.outcome = 'rejected' and w.is_api_wide) as parked_reason
    from unnest(v_work) w
    join bookpost.carrier_apis a on a.code = w.api_code
    group by w.api_code, a.day_time_zone
    order by w.api_code
  loop
    continue when v_api.extra_calls = 0 and v_api.not_before is null and v_api.parked_reason is null;
    update bookpost_private.budgets b set
      day_calls = case
        when b.day = (v_now at time zone v_api.day_time_zone)::date then greatest(0, b.day_calls + v_api.extra_calls)
        else b.day_calls
      end,
      not_before = case when v_api.not_before > coalesce(b.not_before, '-infinity') then v_api.not_before else b.not_before end,
      not_before_reason = case when v_api.not_before > coalesce(b.not_before, '-infinity') then v_api.wait_reason else b.not_before_reason end,
      parked_at = case when v_api.parked_reason is not null then v_now else b.parked_at end,
      parked_reason = coalesce(v_api.parked_reason, b.parked_reason),
      parked_fingerprint = case
        when v_api.parked_reason is not null then
          (select w.api_fingerprints ->> b.api_code from bookpost_private.workers w where w.id = record_lookups.worker_id)
        else b.parked_fingerprint
      end
    where b.api_code = v_api.api_code;
  end loop;

  -- 7. The ledger and the evidence.
  insert into bookpost_private.lookups
    (id, parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, finished_at, outcome, error_code, error_message, calls)
  select w.lookup_id, w.parcel_id, w.batch_id, w.api_code, w.generation, w.is_probe, w.worker_id, w.started_at, v_now,
    w.outcome, w.error_code, left(w.error_message, 500), jsonb_array_length(w.calls)
  from unnest(v_work) w;

  insert into bookpost_private.carrier_calls (lookup_id, api_code, kind, http_status, called_at, duration)
  select w.lookup_id, w.api_code, n.kind, n.http_status,
    v_now - make_interval(secs => n.age_ms / 1000.0), make_interval(secs => n.duration_ms / 1000.0)
  from unnest(v_work) w
  cross join lateral jsonb_to_recordset(w.calls) n (kind text, http_status integer, age_ms double precision, duration_ms double precision);

  insert into bookpost_private.carrier_answers (lookup_id, parcel_id, api_code, received_at, digest, body)
  select w.lookup_id, w.parcel_id, w.api_code, v_now, w.digest, w.body
  from unnest(v_work) w
  where w.body is not null and w.outcome in ('updated', 'malformed', 'rejected');

  -- 8. Circuits: after the ledger, which knows the parcels and the requests of failures.
  for v_api in
    select w.api_code, array_agg(w.lookup_id order by w.place) as ids, array_agg(w.generation order by w.place) as generations,
      array_agg(o.circuit_effect order by w.place) as effects,
      array_agg(coalesce(w.error_code, w.outcome) order by w.place) as reasons
    from unnest(v_work) with ordinality w (
      lookup_id, outcome, error_code, error_message, retry_after_ms, is_api_wide, calls, body, digest, status, raw_status, raw_text,
      is_return, estimated_from, estimated_until, estimated_time_zone, is_estimate_a_date, signed_by, tracking_url, events,
      parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, call_at, paid_calls, place
    )
    join bookpost_private.lookup_outcomes o on o.outcome = w.outcome
    group by w.api_code
    order by w.api_code
  loop
    perform bookpost_private.report_to_circuit(v_api.api_code, v_api.ids, v_api.generations, v_api.effects, v_api.reasons);
  end loop;

  return query
  select w.lookup_id, w.parcel_id, w.outcome, p.status, v_previous ->> (w.parcel_id::text)
  from unnest(v_work) w
  join bookpost.parcels p on p.id = w.parcel_id;
end;
$$;

comment on function bookpost_private.record_lookups(jsonb, text) is
  'Writes everything learnt by some lookups: scans, status, notifications, next look, budget, circuit, ledger. reports: a JSON array of lookup_report, in the order in which they finished. One row back for each that counted; a missing one was stale and changed nothing; one with outcome busy was not written because its parcel is in another transaction''s hands: send it again. One bad row fails the whole batch (SQLSTATE class 22 or 23): send its halves. Does not commit.';
