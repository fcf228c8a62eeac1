--! Previous: sha1:c0ba30099369d08c3a8fb35477199f787234688f
--! Hash: sha1:8599bdb9e5c3c5b444c6dc7bfb440a1c425d060a
--! Message: budgets

-- What each API allows, and whether it may be asked now.

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
  -- In the one lock order.
  perform 1 from bookpost_private.checks c where c.api_code = NEW.code and c.day = v_old order by c.parcel_id for no key update;
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

-- A parcel's own calls.
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
      -- NOTE: the later of the two first: before Postgres 17 nothing may be subtracted from -infinity.
      v_minute + v_window.burst - (greatest(v_window.next_call_at, v_now) - v_now)
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
