--! Previous: sha1:bfb25a4c3fc7dfc5134546a0f9aeab1d761987ad
--! Hash: sha1:3e27bb517d0123fa48dbbfc6f3d1f19f4021f099
--! Message: budgets

-- What each API allows, what is left of it, whether it may be asked now, and who goes first.

-- How late after its moment a call may reach the carrier. Every limit's window is stretched by this much, so that a call
-- which is late and the ones after it that are not still keep the limit. Chosen: a busy machine's timers and a slow
-- handshake fit into it, and it costs at most a tenth of the allowance (of an hour's: a hundredth).
create function bookpost_private.call_slack(call_window interval) returns interval
language sql immutable strict parallel safe
return least(call_window / 10, interval '500 milliseconds' + call_window / 120);

-- How far ahead of an even pace calls may be, where the pace is slow enough for people to notice: a token and its lookup,
-- or two new books, then go out together. Chosen: a twenty-fifth of the window, which is what it costs.
create function bookpost_private.call_burst(call_window interval) returns interval
language sql immutable strict parallel safe
return case when call_window >= interval '1 minute' then call_window / 25 else interval '0' end;

-- The even pace. After n calls at this distance, call_burst ahead and call_slack late at worst, no stretch of
-- call_window has seen more than `calls` of them.
create function bookpost_private.call_spacing(call_window interval, calls integer) returns interval
language sql immutable strict parallel safe
return (call_window + bookpost_private.call_slack(call_window) + bookpost_private.call_burst(call_window)) / calls;

comment on function bookpost_private.call_spacing(interval, integer) is
  'The distance between two calls at which `calls` in any `call_window` are never exceeded, late ones included.';

-- Two clocks, the database's and the carrier's, agree on midnight within this (chosen: what a time service keeps to);
-- nothing goes out that close to it, so each call counts for the day that we count it for.
create function bookpost_private.day_margin() returns interval
language sql immutable parallel safe
return interval '5 seconds';

-- The API's own day at an instant.
create function bookpost_private.day_of(at timestamptz, day_time_zone text)
returns table (day date, starts_at timestamptz, ends_at timestamptz)
language sql stable strict
set search_path = pg_catalog, pg_temp
begin atomic
  select d.day, d.day::timestamp at time zone day_time_zone, (d.day + 1)::timestamp at time zone day_time_zone
  from (select (day_of.at at time zone day_time_zone)::date as day) d;
end;

-- Another zone is another name for the same day: what was counted for today stays counted for today.
create function bookpost_private.tg_carrier_apis__keep_day_counts() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_old date := (clock_timestamp() at time zone OLD.day_time_zone)::date;
  v_new date := (clock_timestamp() at time zone NEW.day_time_zone)::date;
begin
  update bookpost_private.checks c set day = v_new where c.api_code = NEW.code and c.day = v_old;
  update bookpost_private.budgets b set day = v_new where b.api_code = NEW.code and b.day = v_old;
  return null;
end;
$$;

create trigger _500_keep_day_counts after update of day_time_zone on bookpost.carrier_apis
  for each row when (OLD.day_time_zone is distinct from NEW.day_time_zone)
  execute function bookpost_private.tg_carrier_apis__keep_day_counts();

-- How much of its day's allowance may be spent by when: evenly, with something in hand for what comes unexpectedly.
-- Chosen: a twentieth in hand; a quarter for what is urgent, which the others then wait for.
create function bookpost_private.day_allowance(calls_per_day integer, elapsed double precision, is_urgent boolean) returns integer
language sql immutable strict parallel safe
return least(
  calls_per_day,
  floor(calls_per_day * elapsed) + greatest(1, floor(calls_per_day * case when is_urgent then 0.25 else 0.05 end))
)::integer;

comment on function bookpost_private.day_allowance(integer, double precision, boolean) is
  'How many of a day''s calls may have been made when `elapsed` (0 to 1) of the day has passed.';

-- When one more call than `day_calls` is allowed: day_allowance the other way round.
create function bookpost_private.day_allows_at(
  calls_per_day integer, day_calls integer, is_urgent boolean, starts_at timestamptz, ends_at timestamptz
) returns timestamptz
language sql immutable strict parallel safe
return case
  when day_calls >= calls_per_day then ends_at + bookpost_private.day_margin()
  else starts_at + (ends_at - starts_at) * greatest(0,
    (day_calls + 1 - bookpost_private.day_allowance(calls_per_day, 0, is_urgent))::double precision / calls_per_day
  )
end;

create table bookpost_private.head_starts (
  reason text primary key,
  head_start interval not null,
  description text not null,
  constraint head_starts_are_not_negative check (head_start >= '0')
);

comment on table bookpost_private.head_starts is
  'Who goes first when calls are scarce: how much sooner than its turn a parcel goes, as if it had been due that much earlier. Being bounded, it starves nobody: whoever has waited longer than the head starts add up to goes before everyone. Whose head start and waiting together make 12 hours is urgent, and may use what is kept in hand of the day.';

insert into bookpost_private.head_starts (reason, head_start, description) values
  -- All chosen; revisit when measured with real demand.
  ('asked_for', '1 day', 'Never looked up, or a person asked for a look now.'),
  ('out_for_delivery', '1 day', 'Its status: it may arrive this minute.'),
  ('near_estimate', '12 hours', 'From six hours before the day of its estimate to two days after.'),
  ('exception', '6 hours', 'Its status: something may have to be done.'),
  ('available_for_pickup', '3 hours', 'Its status.'),
  ('tenfold_value', '4 hours', 'For each tenfold of a declared value over 100: 1,000 has one, 10,000 two.'),
  ('highest_value', '12 hours', 'The most that its value can give.');

select bookpost_private.protect_table('bookpost_private.head_starts');

-- Units of a currency in a hundred, roughly: those without a minor unit (ISO 4217) are counted in hundreds.
create function bookpost_private.comparable_value(declared_value numeric, declared_currency text) returns numeric
language sql immutable parallel safe
return nullif(declared_value, 'NaN') / case
  when declared_currency in
    ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF')
  then 100 else 1
end;

create function bookpost_private.head_start(
  status text, at timestamptz, estimated_from timestamp, estimated_until timestamp, utc_offset interval, declared_value numeric
) returns interval
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(sum(h.head_start * case h.reason
      when 'tenfold_value' then least(
        greatest(0, log(greatest(head_start.declared_value, 1)) - 2),
        (select extract(epoch from m.head_start) from bookpost_private.head_starts m where m.reason = 'highest_value')
          / nullif(extract(epoch from h.head_start), 0)
      )
      else 1
    end), interval '0')
  from bookpost_private.head_starts h
  where h.reason = head_start.status
    or (
      h.reason = 'near_estimate'
      and head_start.status in ('in_transit', 'exception', 'unknown')
      and (head_start.at at time zone 'UTC') + coalesce(utc_offset, interval '0')
        between date_trunc('day', estimated_from) - interval '6 hours' and date_trunc('day', estimated_until) + interval '2 days'
    )
    or (h.reason = 'tenfold_value' and head_start.declared_value > 100);
end;

comment on function bookpost_private.head_start(text, timestamptz, timestamp, timestamp, interval, numeric) is
  'A parcel''s head start at an instant: by status, by how near its estimate is (wall clock there, with the offset of its last scan), and by the declared value of what is in it.';

-- Waiting makes urgent as well, or what is urgent could use up all that comes in.
create function bookpost_private.is_urgent(turn_at timestamptz, at timestamptz) returns boolean
language sql immutable strict parallel safe
return turn_at <= at - interval '12 hours';

comment on function bookpost_private.is_urgent(timestamptz, timestamptz) is
  'Whether a parcel whose turn was at turn_at (next_check_at - head_start) may use what is kept in hand of the day.';

-- Why an API may not be asked at all just now, and until when. One row; a null reason: it may.
create function bookpost_private.hold(api_code text) returns table (reason text, until timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select h.reason, h.until
  from bookpost.carrier_apis a
  join bookpost.carrier_circuits c on c.api_code = a.code
  join bookpost_private.budgets b on b.api_code = a.code
  cross join lateral (select clock_timestamp() as now) n
  cross join lateral bookpost_private.day_of(n.now, a.day_time_zone) d
  cross join lateral (
    select
      case
        when b.parked_at is not null then 'parked'
        when b.not_before > n.now then 'not_before'
        when c.state = 'open' and c.open_until > n.now then 'circuit_open'
        when c.state = 'half_open' and c.probe_until > n.now then 'circuit_half_open'
        when a.calls_per_day is not null
          and (n.now > d.ends_at - bookpost_private.day_margin() or n.now < d.starts_at + bookpost_private.day_margin())
          then 'no_budget'
      end as reason,
      case
        when b.parked_at is not null then null
        when b.not_before > n.now then b.not_before
        when c.state = 'open' and c.open_until > n.now then c.open_until
        when c.state = 'half_open' and c.probe_until > n.now then c.probe_until
        when a.calls_per_day is not null and n.now > d.ends_at - bookpost_private.day_margin()
          then d.ends_at + bookpost_private.day_margin()
        when a.calls_per_day is not null and n.now < d.starts_at + bookpost_private.day_margin()
          then d.starts_at + bookpost_private.day_margin()
      end as until
  ) h
  where a.code = hold.api_code;
end;

comment on function bookpost_private.hold(text) is
  'Why an API may not be asked just now (parked, not_before, circuit_open, circuit_half_open; no_budget within seconds of its midnight) and until when; a null reason: it may.';

-- How long a request to an API takes, by its last ones; those that ended for want of time count too, so a carrier that
-- has stopped answering is sent less before its circuit opens. Between 10 milliseconds and the longest a request may take
-- (20 s, src/carriers/http.ts); a second where nothing is known yet (chosen).
create function bookpost_private.call_duration(api_code text) returns interval
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select least(interval '20 seconds', greatest(interval '10 milliseconds', coalesce(avg(c.duration), interval '1 second')))
  from (
    select k.duration from bookpost_private.carrier_calls k
    where k.api_code = call_duration.api_code and k.kind = 'lookup'
    order by k.called_at desc
    limit 20
  ) c;
end;

-- What the gate says while an API is let through gradually: so many of those due, that the share of all that has gone
-- grows with the square of the time since the release.
create function bookpost_private.released_share(since interval, release_duration interval, ahead interval) returns double precision
language sql immutable strict parallel safe
return case
  when since >= release_duration then 1
  else (
    power(least(extract(epoch from since + ahead), extract(epoch from release_duration)), 2) - power(extract(epoch from since), 2)
  ) / (power(extract(epoch from release_duration), 2) - power(extract(epoch from since), 2))
end;

comment on function bookpost_private.released_share(interval, interval, interval) is
  'Of the parcels due now, which part may go out in the stretch of time ahead, so that all have gone by the end of release_duration, slowly at first.';

-- How many lookups of an API may go out in the coming minute, and why not more.
create function bookpost_private.gate(api_code text)
returns table (
  allowance integer, urgent_allowance integer, reason text, until timestamptz,
  spacing interval, release_spacing interval, flow_spacing interval, next_call_at timestamptz, pace interval,
  batch_size integer, calls_in_flight integer
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_api bookpost.carrier_apis;
  v_circuit bookpost.carrier_circuits;
  v_budget bookpost_private.budgets;
  v_window record;
  v_day record;
  v_now timestamptz := clock_timestamp();
  v_flow numeric;
  v_ends_soon boolean;
  v_used integer;
  v_slots integer;
  v_due integer;
  v_minute constant interval := '1 minute';
  -- Chosen: a minute's work at most; the next dispatch is a minute away.
  v_most constant integer := 100000;
begin
  select * into strict v_api from bookpost.carrier_apis a where a.code = gate.api_code;
  select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = gate.api_code;
  select * into strict v_budget from bookpost_private.budgets b where b.api_code = gate.api_code;

  batch_size := v_api.batch_size;
  calls_in_flight := v_api.calls_in_flight;
  -- A place that has become free is found by the queue's next poll, half of 100 ms later on average (graphile.config.ts).
  -- A tenth faster than they flow, so that a carrier that has become quicker is not kept idle (chosen).
  v_flow := v_api.calls_in_flight * 1.1 / extract(epoch from bookpost_private.call_duration(gate.api_code) + interval '50 milliseconds');
  flow_spacing := make_interval(secs => (1 / v_flow)::double precision);
  spacing := interval '0';
  release_spacing := interval '0';
  next_call_at := greatest(v_now, v_budget.next_release_at);
  -- More than can flow in a minute would only ask and be refused.
  v_slots := least(v_most, v_api.calls_in_flight + floor(extract(epoch from v_minute) * v_flow));
  for v_window in
    select bookpost_private.call_spacing(w.call_window, l.calls) as spacing, bookpost_private.call_burst(w.call_window) as burst,
      w.next_call_at
    from bookpost_private.call_windows w
    join bookpost.carrier_limits l on l.api_code = w.api_code and l.call_window = w.call_window
    where w.api_code = gate.api_code
  loop
    spacing := greatest(spacing, v_window.spacing);
    next_call_at := greatest(next_call_at, v_window.next_call_at - v_window.burst);
    v_slots := greatest(0, least(v_slots, 1 + floor(extract(epoch from
      v_minute + v_window.burst - greatest(interval '0', v_window.next_call_at - v_now)
    ) / extract(epoch from v_window.spacing))));
  end loop;
  allowance := v_slots;
  urgent_allowance := v_slots;
  pace := spacing;

  if v_api.calls_per_day is not null then
    select * into v_day from bookpost_private.day_of(v_now, v_api.day_time_zone);
    v_used := case when v_budget.day = v_day.day then v_budget.day_calls else 0 end;
    -- By the end of the coming minute; asking for permits tells each its moment.
    select
      least(v_slots, bookpost_private.day_allowance(v_api.calls_per_day, e.elapsed, false) - v_used),
      least(v_slots, bookpost_private.day_allowance(v_api.calls_per_day, e.elapsed, true) - v_used)
    into allowance, urgent_allowance
    from (
      select least(1, extract(epoch from v_now + v_minute - v_day.starts_at) / extract(epoch from v_day.ends_at - v_day.starts_at))::double precision
        as elapsed
    ) e;
    pace := greatest(pace, (v_day.ends_at - v_day.starts_at) / v_api.calls_per_day);
  end if;

  if v_circuit.state = 'closed' and v_circuit.released_at > v_now - v_api.release_duration then
    -- As far as it is worth counting: what is more than 10,000 goes when the release is over.
    select count(*) into v_due from (
      select from bookpost_private.checks k where k.api_code = gate.api_code and k.next_check_at <= v_now limit 10000
    ) due;
    -- One in six seconds stampedes nobody (chosen).
    v_slots := greatest(10, ceil(
      v_due * bookpost_private.released_share(v_now - v_circuit.released_at, v_api.release_duration, v_minute) / v_api.batch_size
    ));
    allowance := least(allowance, v_slots);
    urgent_allowance := least(urgent_allowance, v_slots);
    release_spacing := v_minute / v_slots;
  end if;

  select h.reason, h.until into reason, until from bookpost_private.hold(gate.api_code) h;
  -- A hold that ends soon must not cost the whole minute: what is sent is sent for its end (half a minute: chosen).
  v_ends_soon := coalesce(reason in ('not_before', 'no_budget') and until < v_now + v_minute / 2, false);
  if v_ends_soon then
    next_call_at := greatest(next_call_at, until);
  end if;
  if (reason is null or v_ends_soon) and urgent_allowance <= 0 then
    reason := 'no_budget';
    if v_slots = 0 then
      until := next_call_at;
    else
      until := bookpost_private.day_allows_at(v_api.calls_per_day, v_used, false, v_day.starts_at, v_day.ends_at);
    end if;
  -- Last of the refusals: a worker that asks for permits has credentials, and may pass this one only.
  elsif (reason is null or v_ends_soon) and not exists (
    select from bookpost_private.workers w
    where w.api_fingerprints ? gate.api_code
      -- Who has only the credentials that were refused last can ask nothing.
      and w.api_fingerprints ->> gate.api_code is distinct from v_budget.parked_fingerprint
  ) then
    reason := 'not_configured';
  end if;
  if reason is not null and not (v_ends_soon and reason in ('not_before', 'no_budget') and urgent_allowance > 0) then
    allowance := 0;
    urgent_allowance := 0;
  elsif v_circuit.state <> 'closed' then
    allowance := 1;
    urgent_allowance := 1;
    reason := 'probe';
  else
    -- Requests so far; each may ask about batch_size parcels.
    allowance := greatest(0, allowance) * batch_size;
    urgent_allowance := greatest(0, urgent_allowance) * batch_size;
    if allowance = 0 and not v_ends_soon then
      reason := 'no_budget';
      until := bookpost_private.day_allows_at(v_api.calls_per_day, v_used, false, v_day.starts_at, v_day.ends_at);
    end if;
  end if;
  return next;
end;
$$;

comment on function bookpost_private.gate(text) is
  'How many lookups of an API may be dispatched for the coming minute (urgent_allowance: of urgent ones); both 0 with the reason and its end, unless that is within half a minute; 1 with reason probe when a cooldown has passed. spacing: the least distance of two calls; release_spacing: the same while it recovers; flow_spacing: that at which its calls in flight end; pace: the distance at which its allowance is used up evenly.';

create function bookpost_private.parcel_may_be_asked_at(api_code text, counted_day date, counted_calls integer) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select d.ends_at + bookpost_private.day_margin()
  from bookpost.carrier_apis a
  cross join lateral bookpost_private.day_of(clock_timestamp(), a.day_time_zone) d
  where a.code = parcel_may_be_asked_at.api_code and d.day = counted_day and counted_calls >= a.calls_per_parcel_per_day;
end;

comment on function bookpost_private.parcel_may_be_asked_at(text, date, integer) is
  'When the API''s next day begins, for a parcel whose calls of this day are spent; null: they are not, or are not limited.';

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
