--! Previous: sha1:a1d9f0847e76991e5d41d9f640a4e7d61cd0c779
--! Hash: sha1:d359058053726716b044df8515eaf2c2bf777dae
--! Message: clock

-- Healing what a wrong clock has written down.

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
  v_messages uuid[];
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

  -- A channel's longest wait: its last delay and a fifth more, or the day that retry_after allows, or the 25 hours to the end
  -- of quiet hours. Their jobs lie as far away as they do: add_delivery_jobs takes them along.
  with late as (
    update bookpost_private.deliveries d set due_at = v_now
    where d.due_at > v_now + interval '30 hours'
      and d.id in (
        select w.id from bookpost_private.deliveries w
        where w.state in ('queued', 'sending') and w.due_at > v_now + interval '30 hours'
        for no key update skip locked
      )
    returning d.id
  )
  select array_agg(l.id) into v_messages from late l;
  if v_messages is not null then
    perform bookpost_private.add_delivery_jobs(v_messages);
  end if;
  update bookpost_private.routes r set not_before = v_now
  where r.not_before > v_now + interval '24 hours 10 seconds'
    and r.route in (
      select w.route from bookpost_private.routes w where w.not_before > v_now + interval '24 hours 10 seconds' for no key update skip locked
    );

  if v_late is not null then
    perform graphile_worker.reschedule_jobs(v_late, run_at => v_now);
  end if;
  return v_is_whole;
end;
$$;

comment on function bookpost_private.clamp_deadlines(timestamptz) is
  'Brings every stored deadline that is further away than its maximum back to it. Where the last dispatch lies in the future, the clock was set back: then also each parcel''s next look. Returns false where some parcel was in another''s hands: it wants to be called with the same time again. Does not commit.';
