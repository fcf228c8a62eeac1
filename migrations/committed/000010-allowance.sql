--! Previous: sha1:8599bdb9e5c3c5b444c6dc7bfb440a1c425d060a
--! Hash: sha1:dd6ab2b3ddcd89eddfdc9c58486701b28fbdd238
--! Message: allowance

-- Spending: the whole state of one API's allowance in one value, so that a batch reads it once, spends from it call by
-- call, and writes it once.

create type bookpost_private.call_allowance as (
  api_code text,
  -- The windows: rows of call_windows, in one order.
  windows interval[],
  next_call_at timestamptz[],
  spacings interval[],
  bursts interval[],
  -- How late a call may be: the shortest of the windows' slacks, less what the road may take.
  use_within interval,
  -- While recovering from an outage: the distance between calls, and when the next may go.
  release_spacing interval,
  next_release_at timestamptz,
  -- The day.
  calls_per_day integer,
  day date,
  day_calls integer,
  day_starts_at timestamptz,
  day_ends_at timestamptz,
  -- The last one that was refused for the pace: the next refusal is for one call later.
  refused_at timestamptz
);

comment on type bookpost_private.call_allowance is
  'What is left of an API''s allowance, in the hands of who has its budget row locked.';

create function bookpost_private.milliseconds(length interval) returns integer
language sql immutable parallel safe
return greatest(0, ceil(extract(epoch from length) * 1000))::integer;

create function bookpost_private.read_allowance(api_code text, at timestamptz) returns bookpost_private.call_allowance
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select row(
    a.code, w.windows, w.next_call_at, w.spacings, w.bursts,
    -- A fifth of the slack is left for differences on the road. A call of a day is not carried far, since it must be
    -- made on that day (3 seconds: chosen).
    least(w.slack * 0.8, case when a.calls_per_day is not null then interval '3 seconds' end),
    case
      when c.state = 'closed' and c.released_at > read_allowance.at - a.release_duration
        then (select g.release_spacing from bookpost_private.gate(a.code) g)
      else interval '0'
    end,
    b.next_release_at, a.calls_per_day, d.day, case when b.day = d.day then b.day_calls else 0 end, d.starts_at, d.ends_at, null
  )::bookpost_private.call_allowance
  from bookpost.carrier_apis a
  join bookpost_private.budgets b on b.api_code = a.code
  join bookpost.carrier_circuits c on c.api_code = a.code
  cross join lateral bookpost_private.day_of(read_allowance.at, a.day_time_zone) d
  cross join lateral (
    select
      coalesce(array_agg(v.call_window order by v.call_window), '{}') as windows,
      coalesce(array_agg(v.next_call_at order by v.call_window), '{}') as next_call_at,
      coalesce(array_agg(bookpost_private.call_spacing(v.call_window, m.calls) order by v.call_window), '{}') as spacings,
      coalesce(array_agg(bookpost_private.call_burst(v.call_window) order by v.call_window), '{}') as bursts,
      min(bookpost_private.call_slack(v.call_window)) as slack
    from bookpost_private.call_windows v
    join bookpost.carrier_limits m on m.api_code = v.api_code and m.call_window = v.call_window
    where v.api_code = a.code
  ) w
  where a.code = read_allowance.api_code;
end;

-- When the next call may go, if that is soon.
create function bookpost_private.next_call(allowance bookpost_private.call_allowance, at timestamptz, is_urgent boolean)
returns table (call_at timestamptz, retry_at timestamptz, is_paced boolean)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_call_at timestamptz := greatest(at, allowance.next_release_at);
  v_spacing interval := allowance.release_spacing;
  -- Chosen: a permit may lie this far in the future; longer and the job would hold its slot for nothing.
  v_horizon constant interval := '5 seconds';
begin
  for i in 1 .. cardinality(allowance.windows) loop
    v_call_at := greatest(v_call_at, allowance.next_call_at[i] - allowance.bursts[i]);
    v_spacing := greatest(v_spacing, allowance.spacings[i]);
  end loop;
  is_paced := false;
  if allowance.day_calls >= bookpost_private.day_allowance(
    allowance.calls_per_day,
    extract(epoch from v_call_at - allowance.day_starts_at) / extract(epoch from allowance.day_ends_at - allowance.day_starts_at),
    is_urgent
  ) then
    retry_at := bookpost_private.day_allows_at(
      allowance.calls_per_day, allowance.day_calls, is_urgent, allowance.day_starts_at, allowance.day_ends_at
    );
  elsif allowance.calls_per_day is not null
    -- At its latest it would be too near to midnight.
    and v_call_at + coalesce(allowance.use_within, interval '0') > allowance.day_ends_at - bookpost_private.day_margin()
  then
    retry_at := allowance.day_ends_at + bookpost_private.day_margin();
  elsif v_call_at > at + v_horizon or allowance.refused_at is not null then
    retry_at := coalesce(allowance.refused_at + v_spacing, v_call_at);
    is_paced := true;
  else
    call_at := v_call_at;
  end if;
  return next;
end;
$$;

comment on function bookpost_private.next_call(bookpost_private.call_allowance, timestamptz, boolean) is
  'When one more call may go out by all limits together; null where that is more than a few seconds away, and then retry_at. is_paced: for the pace, so that the next to ask gets a later time.';

create function bookpost_private.spend_call(allowance bookpost_private.call_allowance, call_at timestamptz)
returns bookpost_private.call_allowance
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  for i in 1 .. cardinality(allowance.windows) loop
    allowance.next_call_at[i] := greatest(allowance.next_call_at[i], call_at) + allowance.spacings[i];
  end loop;
  if allowance.release_spacing > '0' then
    allowance.next_release_at := call_at + allowance.release_spacing;
  end if;
  allowance.day_calls := allowance.day_calls + 1;
  return allowance;
end;
$$;

create function bookpost_private.write_allowance(allowance bookpost_private.call_allowance) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  update bookpost_private.call_windows w set next_call_at = n.next_call_at
  from unnest(allowance.windows, allowance.next_call_at) n (call_window, next_call_at)
  where w.api_code = allowance.api_code and w.call_window = n.call_window;
  update bookpost_private.budgets b
  set day = allowance.day, day_calls = allowance.day_calls, next_release_at = allowance.next_release_at
  where b.api_code = allowance.api_code;
end;

comment on function bookpost_private.write_allowance(bookpost_private.call_allowance) is
  'Writes back what read_allowance has read and calls have been spent from. The caller has held the budget''s row locked since before it read. Does not commit.';
