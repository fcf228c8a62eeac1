--! Previous: sha1:f097f16cb06097965a22d12064c357e7d0373d0b
--! Hash: sha1:d8a5097e469272b924836f23c32f512053fc2892
--! Message: polling

-- When to look again: the policy is rows, read by one function.

create table bookpost_private.polling_policies (
  id integer generated always as identity primary key,
  api_code text references bookpost.carrier_apis on update cascade on delete cascade,
  status text not null references bookpost.parcel_statuses on update cascade on delete cascade,
  check_interval interval not null,
  max_check_interval interval not null default '1 day',
  clockless_interval interval not null,
  lengthen_by double precision not null,
  silent_after interval not null,
  constraint polling_policies_one_per_api_and_status unique nulls not distinct (status, api_code),
  constraint polling_policies_intervals_are_positive check (
    check_interval > '0' and max_check_interval >= check_interval and max_check_interval <= '1 day'
    and clockless_interval > '0' and silent_after > '0' and silent_after <= '1 year'
  ),
  constraint polling_policies_silence_never_hastens check (lengthen_by between 0 and 10)
);

comment on table bookpost_private.polling_policies is
  'How often a parcel is looked up, by its status: one row for every API (api_code null) and, where an API needs its own, a row that replaces it together with its hours.';
comment on column bookpost_private.polling_policies.check_interval is
  'Between two looks, outside the hours in polling_hours.';
comment on column bookpost_private.polling_policies.max_check_interval is
  'Silence never makes it longer than this; at most a day, because next_check_at reads the hours of today and tomorrow.';
comment on column bookpost_private.polling_policies.clockless_interval is
  'Between two looks where nobody knows what the clock shows at the parcel: hours and estimates are left aside.';
comment on column bookpost_private.polling_policies.lengthen_by is
  'Each answer in a row without news makes every interval longer by this part of it.';
comment on column bookpost_private.polling_policies.silent_after is
  'So long without news, and no estimate ahead: max_check_interval at any hour.';

create table bookpost_private.polling_hours (
  policy_id integer not null references bookpost_private.polling_policies on delete cascade,
  day text not null,
  weekday_from smallint not null,
  weekday_until smallint not null,
  local_from time not null,
  local_until time not null,
  check_interval interval not null,
  primary key (policy_id, day, weekday_from, local_from),
  constraint polling_hours_day_is_known check (day in ('any', 'estimated', 'ahead', 'other')),
  constraint polling_hours_weekdays_are_iso check (weekday_from between 1 and 7 and weekday_until between weekday_from and 7),
  constraint polling_hours_end_after_they_begin check (local_until > local_from),
  constraint polling_hours_interval_is_positive check (check_interval > '0')
);

comment on table bookpost_private.polling_hours is
  'The hours in which news of a stage come, by the wall clock where the parcel is, and how often to look in them.';
comment on column bookpost_private.polling_hours.day is
  'estimated: a day of the carrier''s estimate; ahead: the estimate is for a later day; other: there is none, or it has passed; any: whatever it is.';
comment on column bookpost_private.polling_hours.weekday_from is 'ISO: Monday is 1, Sunday 7.';

create table bookpost_private.polling_clocks (
  api_code text primary key references bookpost.carrier_apis on update cascade on delete cascade,
  time_zone text not null,
  constraint polling_clocks_time_zone_is_known check ((timestamptz '2000-01-01 00:00Z' at time zone time_zone) is not null)
);

comment on table bookpost_private.polling_clocks is
  'Whose clock is taken for a parcel whose scans told no offset. Only carriers that deliver in one country; for the others no hours are assumed.';

-- Every interval, hour and factor below was chosen and then measured with `npm run bench -- polling`, which says what it
-- assumes of parcels' lives. Revisit when there is a year of our own ledger: the hours and the weekdays of
-- tracking_events, and the estimates against deliveries.
insert into bookpost_private.polling_policies
  (api_code, status, check_interval, clockless_interval, lengthen_by, silent_after) values
  -- Freshly made labels are unknown for hours; from the twentieth miss or so it is one look a day.
  (null, 'pending', '4 hours', '4 hours', 0.25, '7 days'),
  -- Sellers print labels days before they post.
  (null, 'pre_transit', '6 hours', '6 hours', 0.1, '7 days'),
  -- 6 days: longer than a parcel lies over a long weekend.
  (null, 'in_transit', '6 hours', '90 minutes', 0.01, '6 days'),
  -- 2 days: a scan that was never followed up.
  (null, 'out_for_delivery', '4 hours', '40 minutes', 0.01, '2 days'),
  (null, 'available_for_pickup', '12 hours', '6 hours', 0.02, '14 days'),
  (null, 'delivered', '1 day', '1 day', 0, '7 days'),
  (null, 'exception', '6 hours', '3 hours', 0.01, '6 days'),
  (null, 'return_to_sender', '12 hours', '12 hours', 0.05, '6 days'),
  (null, 'cancelled', '1 day', '1 day', 0, '7 days'),
  (null, 'unknown', '6 hours', '4 hours', 0.02, '6 days'),
  -- DHL: 10 looks a day for a parcel, 250 for all of an account. It tells no out_for_delivery, so the day of delivery is
  -- spent in transit.
  ('dhl', 'pre_transit', '6 hours', '6 hours', 0.1, '7 days'),
  ('dhl', 'in_transit', '9 hours', '4 hours', 0.02, '6 days'),
  ('dhl', 'out_for_delivery', '9 hours', '4 hours', 0.02, '2 days'),
  ('dhl', 'exception', '9 hours', '4 hours', 0.02, '6 days'),
  -- Royal Mail: 50 calls a day in the first plan.
  ('royal_mail', 'in_transit', '6 hours', '2 hours', 0.01, '6 days'),
  ('royal_mail', 'out_for_delivery', '4 hours', '60 minutes', 0.01, '2 days');

-- A row that names no policy would be lost in an inner join without a word; the left join makes it a null, which is refused.
insert into bookpost_private.polling_hours
  (policy_id, day, weekday_from, weekday_until, local_from, local_until, check_interval)
select p.id, h.day, h.weekday_from, h.weekday_until, h.local_from::time, h.local_until::time, h.check_interval::interval
from (values
  -- Vehicles are loaded between 5 and 11; where no estimate says which day, any working day may be it.
  (null, 'in_transit', 'other', 1, 6, '05:00', '11:00', '50 minutes'),
  (null, 'in_transit', 'other', 1, 6, '11:00', '20:00', '3 hours'),
  (null, 'in_transit', 'estimated', 1, 7, '05:00', '11:00', '40 minutes'),
  (null, 'in_transit', 'estimated', 1, 7, '11:00', '20:00', '60 minutes'),
  -- Parcels are handed over in the afternoon and collected in the evening; some of those are out in the morning.
  (null, 'pre_transit', 'other', 1, 6, '14:00', '22:00', '3 hours'),
  (null, 'pre_transit', 'ahead', 1, 6, '14:00', '22:00', '3 hours'),
  (null, 'pre_transit', 'estimated', 1, 7, '05:00', '20:00', '2 hours'),
  (null, 'out_for_delivery', 'any', 1, 7, '08:00', '20:00', '40 minutes'),
  (null, 'available_for_pickup', 'any', 1, 6, '09:00', '20:00', '3 hours'),
  (null, 'exception', 'other', 1, 6, '05:00', '11:00', '90 minutes'),
  (null, 'exception', 'other', 1, 6, '11:00', '20:00', '3 hours'),
  (null, 'exception', 'estimated', 1, 7, '05:00', '20:00', '60 minutes'),
  ('dhl', 'pre_transit', 'estimated', 1, 7, '09:00', '20:00', '3 hours'),
  ('dhl', 'in_transit', 'other', 1, 6, '09:00', '20:00', '3 hours'),
  ('dhl', 'in_transit', 'estimated', 1, 7, '09:00', '19:00', '90 minutes'),
  ('dhl', 'out_for_delivery', 'any', 1, 7, '09:00', '19:00', '100 minutes'),
  ('dhl', 'exception', 'other', 1, 6, '09:00', '20:00', '3 hours'),
  ('dhl', 'exception', 'estimated', 1, 7, '09:00', '19:00', '90 minutes'),
  ('royal_mail', 'in_transit', 'other', 1, 6, '05:00', '11:00', '75 minutes'),
  ('royal_mail', 'in_transit', 'other', 1, 6, '11:00', '20:00', '4 hours'),
  ('royal_mail', 'in_transit', 'estimated', 1, 7, '05:00', '11:00', '60 minutes'),
  ('royal_mail', 'in_transit', 'estimated', 1, 7, '11:00', '20:00', '90 minutes'),
  ('royal_mail', 'out_for_delivery', 'any', 1, 7, '08:00', '20:00', '60 minutes')
) h (api_code, status, day, weekday_from, weekday_until, local_from, local_until, check_interval)
left join bookpost_private.polling_policies p on p.status = h.status and p.api_code is not distinct from h.api_code;

insert into bookpost_private.polling_clocks (api_code, time_zone) values
  ('usps', 'America/Chicago'),
  ('royal_mail', 'Europe/London'),
  ('canada_post', 'America/Toronto'),
  ('la_poste', 'Europe/Paris'),
  ('australia_post', 'Australia/Sydney'),
  ('postnl', 'Europe/Amsterdam');

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost_private.polling_policies', 'bookpost_private.polling_hours', 'bookpost_private.polling_clocks'
]::regclass[]) t;

-- NOTE: plpgsql although one statement could say it: in SQL it took 65 to 95 µs a call, most of it to start so large a
-- plan; here a branch costs only what it reads. The generic plan is forced because Postgres 18 would choose to plan
-- anew at each call (50 µs instead of 30). Measured on two busy cores.
create function bookpost_private.next_check_at(
  api_code text, outcome text, status text, looked_at timestamptz, last_changed_at timestamptz,
  unchanged_count integer, failure_count integer,
  estimated_from timestamp, estimated_until timestamp, utc_offset interval,
  jitter double precision default random()
) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  v_part double precision := least(greatest(jitter, 0), 1);
  v_around double precision := 0.9 + 0.2 * v_part;
  v_outcome bookpost_private.lookup_outcomes;
  v_policy bookpost_private.polling_policies;
  v_lengthening double precision;
  v_local_now timestamp;
  v_wait_by_hours interval;
begin
  select * into v_outcome from bookpost_private.lookup_outcomes o where o.outcome = next_check_at.outcome;
  if v_outcome.retry_after is not null then
    return looked_at + v_around * least(
      v_outcome.max_retry_after, v_outcome.retry_after * power(2, least(greatest(failure_count, 1) - 1, 20))
    );
  end if;
  if v_outcome.circuit_effect <> 'success' then
    return looked_at;
  end if;

  select * into v_policy from bookpost_private.polling_policies p
  where p.status = next_check_at.status and p.api_code = next_check_at.api_code;
  if not found then
    select * into v_policy from bookpost_private.polling_policies p
    where p.status = next_check_at.status and p.api_code is null;
  end if;
  if not found then
    -- A test holds that every status has a row, so this is for the hour after someone deleted one.
    return looked_at + interval '1 day' * v_around;
  end if;

  v_local_now := looked_at at time zone 'UTC' + utc_offset;
  if v_local_now is null then
    select looked_at at time zone k.time_zone into v_local_now
    from bookpost_private.polling_clocks k where k.api_code = next_check_at.api_code;
  end if;

  if last_changed_at < looked_at - v_policy.silent_after
    and (estimated_until is null or v_local_now is null or estimated_until::date < v_local_now::date)
  then
    return looked_at + v_policy.max_check_interval * v_around;
  end if;

  -- A hundred thousand answers without news are far beyond every cap; billions would overflow the interval.
  v_lengthening := 1 + v_policy.lengthen_by * least(greatest(unchanged_count, 0), 100000);
  if v_local_now is null then
    return looked_at + v_around * least(v_policy.max_check_interval, v_policy.clockless_interval * v_lengthening);
  end if;

  select min(
    case
      when d.day + h.local_from <= v_local_now then w.wait * v_around
      -- Hours still to come: spread over their first interval, or a whole country would be due when they begin.
      else greatest(d.day + h.local_from - v_local_now + w.wait * v_part, w.wait * v_around)
    end
  ) into v_wait_by_hours
  from (values (v_local_now::date), (v_local_now::date + 1)) d (day)
  join bookpost_private.polling_hours h on h.policy_id = v_policy.id
    and h.day in ('any', case
      when d.day < estimated_from::date then 'ahead'
      when d.day <= estimated_until::date then 'estimated'
      else 'other'
    end)
    and extract(isodow from d.day) between h.weekday_from and h.weekday_until
    and d.day + h.local_until > v_local_now
  cross join lateral (
    select least(v_policy.max_check_interval, h.check_interval * v_lengthening) as wait
  ) w;

  return looked_at + least(
    least(v_policy.max_check_interval, v_policy.check_interval * v_lengthening) * v_around,
    v_wait_by_hours
  );
end;
$$;

comment on function bookpost_private.next_check_at(text, text, text, timestamptz, timestamptz, integer, integer, timestamp, timestamp, interval, double precision) is
  'When to look at a parcel again, after a look at looked_at that ended in outcome and left it in status. By the outcome''s back-off where it has one; else by the policy of the status for this API, its hours and the estimate (wall clock at the destination); looked_at itself where only the API''s own gate counts. utc_offset: of the newest scan, null where unknown. jitter: 0 to 1, the answer lies a tenth either way. Never null, never before looked_at. The API''s own limits are applied by the caller.';
