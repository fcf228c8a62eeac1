--! Previous: sha1:73e2d37ee54fc2e56b3e810ce6e4c5753274f6d7
--! Hash: sha1:c0ba30099369d08c3a8fb35477199f787234688f
--! Message: head-starts

-- Who goes first when calls are scarce.

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
