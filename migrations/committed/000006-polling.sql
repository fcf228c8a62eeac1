--! Previous: sha1:d264ceb86cb3edca4bfe953f5b6fd259ab4ab1e7
--! Hash: sha1:0adeabb4b6d1fb1ba9ac39f81b4303905fbff70e
--! Message: polling

-- When to look again.

create table bookpost_private.polling_policies (
  status text primary key references bookpost.parcel_statuses on update cascade on delete cascade,
  check_interval interval not null,
  max_check_interval interval not null,
  constraint polling_policies_intervals_are_positive check (check_interval > '0' and max_check_interval >= check_interval)
);

comment on table bookpost_private.polling_policies is
  'How often a parcel is looked up, by status: check_interval after news, growing to max_check_interval while it stays silent.';

insert into bookpost_private.polling_policies (status, check_interval, max_check_interval) values
  -- Chosen: seldom before pick-up, hourly on the road, often on the last day, daily when silent; revisit when measured.
  ('pending', '2 hours', '1 day'),
  ('pre_transit', '4 hours', '1 day'),
  ('in_transit', '1 hour', '1 day'),
  ('out_for_delivery', '15 minutes', '2 hours'),
  ('available_for_pickup', '6 hours', '1 day'),
  ('delivered', '1 day', '1 day'),
  ('exception', '2 hours', '1 day'),
  ('return_to_sender', '12 hours', '1 day'),
  ('cancelled', '1 day', '1 day'),
  ('unknown', '4 hours', '1 day');

select bookpost_private.protect_table('bookpost_private.polling_policies');

create function bookpost_private.next_check_at(
  api_code text, outcome text, status text, looked_at timestamptz, last_changed_at timestamptz,
  unchanged_count integer, failure_count integer,
  estimated_from timestamp, estimated_until timestamp, utc_offset interval, jitter double precision default random()
) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select looked_at + (0.9 + jitter * 0.2) * case
    when o.retry_after is not null then
      least(o.max_retry_after, o.retry_after * power(2, least(next_check_at.failure_count - 1, 20)))
    when o.outcome in ('updated', 'unchanged', 'not_found') then
      -- Half a day without news, then ever longer.
      least(p.max_check_interval, p.check_interval * greatest(1, next_check_at.unchanged_count / 12.0))
    else interval '0'
  end
  from bookpost_private.lookup_outcomes o
  cross join bookpost_private.polling_policies p
  where o.outcome = next_check_at.outcome and p.status = next_check_at.status;
end;
