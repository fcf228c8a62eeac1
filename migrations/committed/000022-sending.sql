--! Previous: sha1:4e58b430d8cc9c30e13580703a9dc563a960dd61
--! Hash: sha1:fa04ef268a7078d5107ca39bd05d08cab2fc5be0
--! Message: sending

-- Handing messages over: begin (commit), send, end (commit). No transaction is open while a message goes out.

-- Lock order here: the person (key share, which whoever deletes her waits for, or is waited for), the message, its person and channel (advisory), digest, endpoint, route, other messages (skip locked).

-- The digest that waits for a person, made where there is none. The caller holds the lock on person and channel.
create function bookpost_private.waiting_digest(user_id uuid, channel text, due_at timestamptz) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id uuid;
begin
  select d.id into v_id from bookpost_private.deliveries d
  where d.user_id = waiting_digest.user_id and d.channel = waiting_digest.channel and d.kind = 'digest' and d.state = 'queued'
  -- Two, where one was begun, failed, and waits again.
  order by d.created_at, d.id
  limit 1;
  if not found then
    insert into bookpost_private.deliveries (user_id, channel, kind, due_at)
    values (waiting_digest.user_id, waiting_digest.channel, 'digest', waiting_digest.due_at)
    returning id into v_id;
    perform bookpost_private.add_delivery_jobs(array[v_id]);
  end if;
  return v_id;
end;
$$;

-- The end of the quiet hours that a person is in; null: she is in none.
create function bookpost_private.quiet_end(person bookpost.users, at timestamptz) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select (
    l.day + person.quiet_until + case when person.quiet_from > person.quiet_until and l.hour >= person.quiet_from then interval '1 day' else interval '0' end
  ) at time zone person.time_zone
  from (
    select (quiet_end.at at time zone person.time_zone)::date as day, (quiet_end.at at time zone person.time_zone)::time as hour
  ) l
  where case
    when person.quiet_from < person.quiet_until then l.hour >= person.quiet_from and l.hour < person.quiet_until
    else l.hour >= person.quiet_from or l.hour < person.quiet_until
  end;
end;

comment on function bookpost_private.quiet_end(bookpost.users, timestamptz) is
  'When the quiet hours end in which a moment lies, by the person''s own zone; null: it lies in none, or she has none.';

-- The notifications that a message has to tell: its own, or those folded into it. What the channel lets newer news
-- replace, and what it has told within its damping, is left out.
create function bookpost_private.items_to_tell(delivery bookpost_private.deliveries) returns setof uuid
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  with items as (
    select n.*
    from bookpost_private.delivery_items i
    join bookpost_private.deliveries d on d.id = i.delivery_id
    join bookpost.notifications n on n.id = i.notification_id
    where d.id = delivery.id or d.digest_id = delivery.id
  )
  select i.id
  from items i
  join bookpost_private.channels c on c.channel = delivery.channel
  where not (c.supersedes and exists (
      select from bookpost.notifications o
      join bookpost_private.delivery_items t on t.notification_id = o.id and t.channel = c.channel
      where o.user_id = i.user_id and o.book_id = i.book_id and o.parcel_id = i.parcel_id
        and (
          o.status_version > i.status_version
          or (o.status_version = i.status_version and o.kind = i.kind and o.notice_version > i.notice_version)
        )
    ))
    and not (c.damping is not null and i.kind in ('stage', 'action_required') and coalesce((
      -- The last of this book by this channel that went out, or may have: only where it surely did is this one told already.
      select coalesce(g.state, d.state) = 'sent' and o.status = i.status and o.created_at > i.created_at - c.damping
      from bookpost.notifications o
      join bookpost_private.delivery_items t on t.notification_id = o.id and t.channel = c.channel and t.is_told
      join bookpost_private.deliveries d on d.id = t.delivery_id
      left join bookpost_private.deliveries g on g.id = d.digest_id
      where o.user_id = i.user_id and o.book_id = i.book_id and o.parcel_id = i.parcel_id
        and o.kind = i.kind and (coalesce(g.state, d.state) in ('sent', 'sending') or coalesce(g.is_doubtful, d.is_doubtful))
        and (o.status_version, coalesce(o.notice_version, 0)) < (i.status_version, coalesce(i.notice_version, 0))
      order by o.status_version desc, o.notice_version desc
      limit 1
    ), false));
end;

-- Everything that a message says, as notifications/message.ts reads it.
create function bookpost_private.message_of(delivery bookpost_private.deliveries, notification_ids uuid[]) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select jsonb_build_object(
    'id', delivery.id,
    'channel', delivery.channel,
    'kind', delivery.kind,
    'createdAt', delivery.created_at,
    'person', (
      select jsonb_build_object(
        'id', u.id, 'appUserId', u.app_user_id, 'name', u.name, 'language', u.language, 'timeZone', u.time_zone,
        'email', case when delivery.channel = 'email' then u.email end,
        'phoneNumber', case when delivery.channel = 'sms' then case
          -- Where the code counts and nowhere else, whatever the number is by now: make_code holds the row.
          when delivery.kind = 'verification' then (
            select v.phone_number from bookpost_private.phone_verifications v where v.user_id = u.id
          )
          else u.phone_number
        end end,
        'unsubscribeToken', case when delivery.channel = 'email' then (
          select t.token from bookpost_private.unsubscribe_tokens t where t.user_id = u.id
        ) end
      )
      from bookpost.users u where u.id = delivery.user_id
    ),
    'endpoint', (
      select jsonb_build_object(
        'id', e.id, 'url', e.url, 'description', e.description, 'disabledReason', e.disabled_reason,
        'secrets', case when delivery.channel = 'webhook' then (
          select jsonb_agg(s.secret order by s.created_at desc) from bookpost_private.webhook_secrets s
          where s.endpoint_id = e.id and (s.ends_at is null or s.ends_at > clock_timestamp())
        ) end
      )
      from bookpost.webhook_endpoints e
      where e.id = delivery.endpoint_id
    ),
    'news', coalesce((
      select jsonb_agg(jsonb_build_object(
        'notificationId', n.id, 'kind', n.kind, 'status', n.status, 'statusVersion', n.status_version,
        'isActionRequired', n.is_action_required, 'detail', n.detail, 'location', n.location, 'occurredAt', n.occurred_at,
        'localTime', n.local_time, 'timeZone', n.time_zone, 'isDateOnly', n.is_date_only,
        'estimatedFrom', n.estimated_from, 'estimatedUntil', n.estimated_until, 'estimatedTimeZone', n.estimated_time_zone,
        'isEstimateADate', n.is_estimate_a_date, 'createdAt', n.created_at,
        'book', jsonb_build_object('id', b.id, 'appBookId', b.app_book_id, 'title', b.title, 'author', b.author),
        'parcel', jsonb_build_object(
          'id', p.id, 'carrierCode', p.carrier_code, 'carrierName', c.name, 'trackingNumber', p.tracking_number,
          -- What the carrier named itself, or what this owner gave; the usual page is ours and safe anywhere.
          'trackingPage', coalesce(p.tracking_url, pb.tracking_url, replace(c.tracking_page, '{number}', p.tracking_number)),
          'usualPage', replace(c.tracking_page, '{number}', p.tracking_number)
        )
      ) order by b.title, b.id, n.created_at, n.id)
      from bookpost.notifications n
      join bookpost.books b on b.id = n.book_id
      join bookpost.parcels p on p.id = n.parcel_id
      join bookpost.carriers c on c.code = p.carrier_code
      left join bookpost.parcel_books pb on pb.book_id = n.book_id and pb.parcel_id = n.parcel_id
      where n.id = any (notification_ids)
    ), '[]')
  );
end;

create function bookpost_private.begin_delivery(delivery_id uuid, worker_id text)
returns table (verdict text, reason text, attempt integer, message jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_now timestamptz := clock_timestamp();
  v_delivery bookpost_private.deliveries;
  v_channel bookpost_private.channels;
  v_person bookpost.users;
  v_until timestamptz;
  v_items uuid[];
  v_code text;
begin
  -- The person first: deleting her takes her row and then her messages'.
  perform 1 from bookpost.users u
  where u.id = (select d.user_id from bookpost_private.deliveries d where d.id = begin_delivery.delivery_id)
  for key share;
  -- A second caller waits here for milliseconds, and then finds what the first has made of it.
  select d.* into v_delivery from bookpost_private.deliveries d where d.id = begin_delivery.delivery_id for no key update;
  if not found or v_delivery.state not in ('queued', 'sending') then
    return query select 'ended', coalesce(v_delivery.state, 'gone'), null::integer, null::jsonb;
    return;
  end if;
  select c.* into strict v_channel from bookpost_private.channels c where c.channel = v_delivery.channel;

  -- Whoever began it did not live to tell the end: it may have gone out. Once more is the lesser evil.
  if v_delivery.state = 'sending' then
    update bookpost_private.deliveries d
    set state = 'queued', failure_count = d.failure_count + 1, is_doubtful = d.channel <> 'webhook',
      last_error = coalesce(d.last_error, 'an attempt was broken off by the death of its worker')
    where d.id = v_delivery.id
    returning d.* into v_delivery;
    if v_delivery.failure_count >= v_channel.max_failures then
      perform bookpost_private.end_delivery_as(v_delivery.id, 'dead', 'attempts_spent');
      return query select 'ended', 'attempts_spent', null::integer, null::jsonb;
      return;
    end if;
  end if;

  if v_delivery.due_at > v_now + interval '1 second' then
    perform bookpost_private.put_off_delivery(v_delivery.id, v_delivery.due_at);
    return query select 'wait', 'not_due', null::integer, null::jsonb;
    return;
  end if;

  -- Consent, as it is at this moment.
  select u.* into v_person from bookpost.users u where u.id = v_delivery.user_id;
  if v_delivery.channel = 'webhook' then
    if exists (select from bookpost.webhook_endpoints e where e.id = v_delivery.endpoint_id and e.disabled_at is not null) then
      perform bookpost_private.end_delivery_as(v_delivery.id, 'dead', 'endpoint_disabled');
      return query select 'ended', 'endpoint_disabled', null::integer, null::jsonb;
      return;
    end if;
  else
    reason := case
      -- The code is what makes the number hers.
      when v_delivery.kind = 'verification' then
        case
          when v_person.phone_number is null then 'no_address'
          when v_person.phone_verified_at is not null then 'verified'
          when v_person.sms_opted_out_at is not null then 'opted_out'
          when not exists (
            select from bookpost_private.phone_verifications v
            where v.user_id = v_person.id and v.phone_number = v_person.phone_number
          ) then 'number_changed'
        end
      else bookpost_private.why_not_reached(v_person, v_delivery.channel)
    end;
    if reason is not null then
      perform bookpost_private.end_delivery_as(v_delivery.id, 'dropped', reason);
      return query select 'ended', reason, null::integer, null::jsonb;
      return;
    end if;
  end if;

  if v_delivery.created_at < v_now - v_channel.max_age then
    perform bookpost_private.end_delivery_as(v_delivery.id, 'dead', 'too_old');
    -- Where many wait, their failures are spread over all of them and none comes to its tenth.
    if exists (
      select from bookpost_private.routes r
      where r.route = 'webhook:' || v_delivery.endpoint_id and r.failure_count > 0 and r.last_failed_at > v_now - interval '1 day'
    ) then
      perform bookpost_private.give_up_endpoint(v_delivery);
    end if;
    return query select 'ended', 'too_old', null::integer, null::jsonb;
    return;
  end if;

  -- The way there is in trouble: all wait, and none counts it as a failure of its own.
  select r.not_before into v_until from bookpost_private.routes r
  where r.route = bookpost_private.route_of(v_delivery) and r.not_before > v_now;
  if found then
    -- Spread over a tenth of the wait, at least a second.
    perform bookpost_private.put_off_delivery(v_delivery.id, v_until + greatest(interval '1 second', (v_until - v_now) / 10) * random());
    return query select 'wait', 'route_held', null::integer, null::jsonb;
    return;
  end if;

  if v_channel.keeps_quiet_hours and v_delivery.kind in ('news', 'digest', 'endpoint_disabled') then
    v_until := bookpost_private.quiet_end(v_person, v_now);
    if v_until > v_now then
      perform bookpost_private.put_off_delivery(v_delivery.id, v_until);
      return query select 'wait', 'quiet_hours', null::integer, null::jsonb;
      return;
    end if;
  end if;

  if v_delivery.channel <> 'webhook' then
    -- One at a time for each person and channel, or two would each see room for one. A second caller waits milliseconds.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bookpost.deliver:' || v_delivery.channel || v_delivery.user_id, 0));
  end if;

  if v_delivery.kind in ('news', 'digest') then
    select array_agg(t.id) into v_items from bookpost_private.items_to_tell(v_delivery) t (id);
    if v_items is null then
      reason := case
        when exists (
          select from bookpost_private.delivery_items i
          join bookpost_private.deliveries d on d.id = i.delivery_id
          where d.id = v_delivery.id or d.digest_id = v_delivery.id
        ) then 'superseded'
        else 'book_gone'
      end;
      perform bookpost_private.end_delivery_as(v_delivery.id, 'dropped', reason);
      return query select 'ended', reason, null::integer, null::jsonb;
      return;
    end if;

    if v_channel.cap_per_hour is not null then
      -- The oldest of those that fill the hour: when it has passed there is room.
      select d.attempted_at + interval '1 hour' into v_until
      from bookpost_private.deliveries d
      where d.user_id = v_delivery.user_id and d.channel = v_delivery.channel and d.id <> v_delivery.id
        and d.state in ('sent', 'sending') and d.kind in ('news', 'digest') and d.attempted_at > v_now - interval '1 hour'
        -- From before the clock was set back: nobody waits for that time to come.
        and d.attempted_at < v_now + interval '5 seconds'
      order by d.attempted_at desc
      offset v_channel.cap_per_hour - 1 limit 1;
      if found and v_delivery.kind = 'digest' then
        perform bookpost_private.put_off_delivery(v_delivery.id, v_until);
        return query select 'wait', 'cap_of_the_hour', null::integer, null::jsonb;
        return;
      elsif v_delivery.kind = 'news' and (found or exists (
        -- What comes while a digest waits is told there.
        select from bookpost_private.deliveries d
        where d.user_id = v_delivery.user_id and d.channel = v_delivery.channel and d.kind = 'digest' and d.state = 'queued'
      )) then
        update bookpost_private.deliveries d set state = 'folded', ended_at = v_now,
          digest_id = bookpost_private.waiting_digest(d.user_id, d.channel, coalesce(v_until, v_now))
        where d.id = v_delivery.id;
        return query select 'ended', 'folded', null::integer, null::jsonb;
        return;
      end if;
    end if;
  end if;

  update bookpost_private.deliveries d
  set state = 'sending', attempt_count = d.attempt_count + 1, attempted_at = v_now, worker_id = begin_delivery.worker_id,
    email_hash = case when d.channel = 'email' then sha256(convert_to(v_person.email, 'UTF8')) end
  where d.id = v_delivery.id
  returning d.* into v_delivery;

  if v_items is not null and v_channel.damping is not null then
    update bookpost_private.delivery_items i set is_told = i.notification_id = any (v_items) or (i.is_told and v_delivery.is_doubtful)
    where (i.delivery_id, i.notification_id) in (
      select t.delivery_id, t.notification_id
      from bookpost_private.delivery_items t
      join bookpost_private.deliveries o on o.id = t.delivery_id
      where (o.id = v_delivery.id or o.digest_id = v_delivery.id)
        and t.is_told <> (t.notification_id = any (v_items) or (t.is_told and v_delivery.is_doubtful))
      -- skip locked: an app is deleting the book, perhaps for long.
      for no key update of t skip locked
    );
  end if;

  if v_delivery.channel = 'email' then
    insert into bookpost_private.unsubscribe_tokens (user_id) values (v_delivery.user_id) on conflict (user_id) do nothing;
  elsif v_delivery.kind = 'verification' then
    v_code := bookpost_private.make_code(v_delivery.user_id);
  end if;
  return query select 'send', null::text, v_delivery.attempt_count,
    bookpost_private.message_of(v_delivery, v_items) || case when v_code is null then '{}' else jsonb_build_object('code', v_code) end;
end;
$$;

comment on function bookpost_private.begin_delivery(uuid, text) is
  'Says what is to be done with a message. send: it is this worker''s attempt, and here is all that it says; to be told with end_delivery. wait: not now, for that reason; its job is queued anew. ended: there is nothing to do. Consent, quiet hours, caps and newer news are looked at here. Does not commit.';

create function bookpost_private.end_delivery(
  delivery_id uuid, attempt integer, outcome text, error text default null, retry_after_ms double precision default null, provider_id text default null
) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_now timestamptz := clock_timestamp();
  v_delivery bookpost_private.deliveries;
  v_channel bookpost_private.channels;
  v_outcome bookpost_private.delivery_outcomes;
  v_error text := left(regexp_replace(end_delivery.error, '[[:cntrl:]]+', ' ', 'g'), 500);
  v_failures integer;
  v_delay interval;
begin
  select o.* into v_outcome from bookpost_private.delivery_outcomes o where o.outcome = end_delivery.outcome;
  if not found then
    raise exception 'An attempt cannot end as "%".', end_delivery.outcome using errcode = '22023';
  end if;
  -- The person first: deleting her takes her row and then her messages'.
  perform 1 from bookpost.users u
  where u.id = (select d.user_id from bookpost_private.deliveries d where d.id = end_delivery.delivery_id)
  for key share;
  -- An attempt that another has followed, or that was told already, changes nothing.
  select d.* into v_delivery from bookpost_private.deliveries d
  where d.id = end_delivery.delivery_id and d.state = 'sending' and d.attempt_count = end_delivery.attempt
  for no key update;
  if not found then
    return null;
  end if;
  select c.* into strict v_channel from bookpost_private.channels c where c.channel = v_delivery.channel;
  v_failures := v_delivery.failure_count + v_outcome.counts::integer;
  update bookpost_private.deliveries d set
    failure_count = v_failures, last_error = coalesce(v_error, d.last_error), provider_id = left(end_delivery.provider_id, 200),
    is_doubtful = d.is_doubtful or (v_outcome.outcome = 'unanswered' and d.channel <> 'webhook')
  where d.id = v_delivery.id;

  if v_outcome.outcome = 'sent' then
    update bookpost_private.routes r set failure_count = 0, not_before = null
    where r.route = bookpost_private.route_of(v_delivery) and r.failure_count > 0;
  elsif v_outcome.outcome = 'no_such_address' and v_delivery.channel = 'email' then
    -- Not where the address was changed meanwhile.
    update bookpost.users u set email_refused_at = v_now
    where u.id = v_delivery.user_id and sha256(convert_to(u.email, 'UTF8')) = v_delivery.email_hash;
  elsif v_outcome.outcome = 'opted_out' and v_delivery.channel = 'sms' then
    -- Not where the number was changed meanwhile: STOP came from the former one.
    update bookpost.users u set sms_opted_out_at = v_now
    where u.id = v_delivery.user_id and case v_delivery.kind
      when 'verification' then exists (
        select from bookpost_private.phone_verifications v where v.user_id = u.id and v.phone_number = u.phone_number
      )
      else u.phone_verified_at <= v_delivery.attempted_at
    end;
  end if;

  if v_outcome.ends_as is not null then
    perform bookpost_private.end_delivery_as(
      v_delivery.id, v_outcome.ends_as, case when v_outcome.ends_as <> 'sent' then v_outcome.outcome end
    );
    if v_outcome.outcome = 'gone' then
      perform bookpost_private.disable_endpoint(v_delivery.endpoint_id, 'gone');
    end if;
    return v_outcome.ends_as;
  end if;

  if v_outcome.holds_route then
    perform bookpost_private.hold_route(bookpost_private.route_of(v_delivery), v_error, end_delivery.retry_after_ms);
  end if;

  if v_failures >= v_channel.max_failures then
    perform bookpost_private.end_delivery_as(v_delivery.id, 'dead', 'attempts_spent');
    perform bookpost_private.give_up_endpoint(v_delivery);
    return 'dead';
  end if;

  -- Up to a fifth more than the schedule says, so that many who failed together do not come back together.
  v_delay := v_channel.retry_delays[least(greatest(v_failures, 1), array_length(v_channel.retry_delays, 1))] * (1 + random() / 5);
  perform bookpost_private.put_off_delivery(
    v_delivery.id,
    v_now + greatest(
      case when v_outcome.counts then v_delay else v_channel.retry_delays[1] end,
      bookpost_private.retry_after(end_delivery.retry_after_ms)
    )
  );
  return 'queued';
end;
$$;

comment on function bookpost_private.end_delivery(uuid, integer, text, text, double precision, text) is
  'Writes down how an attempt ended (a word of delivery_outcomes) and what follows: the end, or the next attempt by the channel''s schedule, not before retry_after_ms. Returns the state it is left in; null where the attempt is not the last one: then nothing was changed. Does not commit.';

-- The message's last state. The caller holds its lock.
create function bookpost_private.end_delivery_as(delivery_id uuid, state text, reason text) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  update bookpost_private.deliveries d
  set state = end_delivery_as.state, reason = end_delivery_as.reason, ended_at = clock_timestamp()
  where d.id = end_delivery_as.delivery_id;
end;

-- Waits until then: its job is queued anew in the same commit. The caller holds its lock.
create function bookpost_private.put_off_delivery(delivery_id uuid, until timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update bookpost_private.deliveries d set state = 'queued', due_at = put_off_delivery.until where d.id = put_off_delivery.delivery_id;
  perform bookpost_private.add_delivery_jobs(array[delivery_id]);
end;
$$;

-- All that goes this way waits: from five seconds, doubled at each failure in a row, up to five minutes (chosen), or as long as the other side said.
create function bookpost_private.hold_route(route text, error text, retry_after_ms double precision) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  insert into bookpost_private.routes as r (route, failure_count, not_before, last_error, last_failed_at)
  values (
    hold_route.route, 1,
    clock_timestamp() + greatest(interval '5 seconds', bookpost_private.retry_after(hold_route.retry_after_ms)),
    hold_route.error, clock_timestamp()
  )
  -- A second failure at the same time waits here, and counts as another.
  on conflict (route) do update set
    failure_count = r.failure_count + 1,
    not_before = greatest(
      excluded.not_before, clock_timestamp() + least(interval '5 minutes', interval '5 seconds' * power(2, least(r.failure_count, 6)))
    ),
    last_error = excluded.last_error,
    last_failed_at = excluded.last_failed_at;
end;

create function bookpost_private.disable_endpoint(endpoint_id uuid, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_endpoint bookpost.webhook_endpoints;
  v_id uuid;
begin
  update bookpost.webhook_endpoints e set disabled_at = clock_timestamp(), disabled_reason = disable_endpoint.reason
  where e.id = disable_endpoint.endpoint_id and e.disabled_at is null
  returning e.* into v_endpoint;
  if not found then
    return;
  end if;
  -- skip locked: one that is being handed over this moment finds the endpoint disabled when it comes again.
  update bookpost_private.deliveries d set state = 'dead', reason = 'endpoint_disabled', ended_at = clock_timestamp()
  where d.id in (
    select w.id from bookpost_private.deliveries w
    where w.endpoint_id = disable_endpoint.endpoint_id and w.channel = 'webhook' and w.state = 'queued'
    for no key update skip locked
  );
  delete from bookpost_private.routes r where r.route = 'webhook:' || disable_endpoint.endpoint_id;
  if disable_endpoint.reason <> 'by_hand' and v_endpoint.user_id is not null
    and (select c.is_configured from bookpost_private.channels c where c.channel = 'email')
  then
    insert into bookpost_private.deliveries (user_id, channel, kind, endpoint_id)
    values (v_endpoint.user_id, 'email', 'endpoint_disabled', v_endpoint.id)
    returning id into v_id;
    perform bookpost_private.add_delivery_jobs(array[v_id]);
  end if;
end;
$$;

comment on function bookpost_private.disable_endpoint(uuid, text) is
  'Sends nothing more to an endpoint; what waits for it is dead, and can be sent again once it is enabled. Its owner is told by email unless she did it herself. Does not commit.';

-- A message to an endpoint has died. Nothing more is sent there unless it took others meanwhile: then it is this message
-- that it cannot take. The caller holds the message's lock.
create function bookpost_private.give_up_endpoint(delivery bookpost_private.deliveries) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if delivery.channel = 'webhook' and delivery.kind <> 'test' and not exists (
    select from bookpost_private.deliveries d
    where d.endpoint_id = delivery.endpoint_id and d.channel = 'webhook' and d.state = 'sent' and d.ended_at > delivery.created_at
  ) then
    perform bookpost_private.disable_endpoint(delivery.endpoint_id, 'failing');
  end if;
end;
$$;

-- Brings dead messages back.
create function bookpost_private.retry_delivery(delivery_id uuid) returns bookpost_private.deliveries
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_delivery bookpost_private.deliveries;
begin
  select d.* into v_delivery from bookpost_private.deliveries d where d.id = retry_delivery.delivery_id for no key update;
  if not found then
    raise exception 'There is no message %.', retry_delivery.delivery_id using errcode = 'BP404';
  end if;
  if v_delivery.state <> 'dead' then
    raise exception 'Message % is % and not dead; only a dead one is sent again.', v_delivery.id, v_delivery.state using errcode = 'BP409';
  end if;
  if exists (select from bookpost.webhook_endpoints e where e.id = v_delivery.endpoint_id and e.disabled_at is not null)
    and v_delivery.channel = 'webhook'
  then
    raise exception 'The endpoint of message % is disabled: enable it first.', v_delivery.id
      using errcode = 'BP409', hint = format('bookpost webhook enable %s', v_delivery.endpoint_id);
  end if;
  update bookpost_private.deliveries d
  -- Its age is counted anew as well.
  set state = 'queued', reason = null, ended_at = null, failure_count = 0, due_at = clock_timestamp(), created_at = clock_timestamp()
  where d.id = v_delivery.id
  returning d.* into v_delivery;
  perform bookpost_private.add_delivery_jobs(array[v_delivery.id]);
  return v_delivery;
end;
$$;

comment on function bookpost_private.retry_delivery(uuid) is
  'Queues a dead message once more, as if it were new. Raises BP404 for an unknown one, BP409 for one that is not dead or whose endpoint is disabled. Does not commit.';

-- The queue can be emptied at any time and loses nothing: what waits without a job gets one. A job that failed for good
-- has met a bug of ours.
create function bookpost_private.repair_deliveries() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids uuid[];
begin
  with failed as (
    select substring(j.key from 10)::uuid as id, j.last_error
    from graphile_worker.jobs j
    where j.task_identifier in ('send_email', 'send_sms', 'send_webhook') and j.attempts >= j.max_attempts and j.locked_at is null
      and j.key ~ '^delivery:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
  ),
  held as (
    -- skip locked: someone is at it; the next dispatch looks again.
    select d.id from bookpost_private.deliveries d
    where d.id in (select f.id from failed f) and d.state in ('queued', 'sending')
    for no key update skip locked
  )
  update bookpost_private.deliveries d
  set state = 'dead', reason = 'failed', ended_at = clock_timestamp(), last_error = left(f.last_error, 500)
  from failed f join held h using (id)
  where d.id = f.id;

  select array_agg(l.id) into v_ids
  from (
    select d.id from bookpost_private.deliveries d
    -- A minute: its job was added in the commit that made it, or is being ended this moment.
    where d.state in ('queued', 'sending') and d.due_at < clock_timestamp() - interval '1 minute'
      and (d.attempted_at is null or d.attempted_at not between clock_timestamp() - interval '1 minute' and clock_timestamp() + interval '5 seconds')
      and not exists (select from graphile_worker.jobs j where j.key = 'delivery:' || d.id)
    order by d.due_at
    limit 10000
    -- skip locked: it is in someone's hands.
    for no key update skip locked
  ) l;
  if v_ids is not null then
    perform bookpost_private.add_delivery_jobs(v_ids);
  end if;
  return coalesce(array_length(v_ids, 1), 0);
end;
$$;

comment on function bookpost_private.repair_deliveries() is
  'Gives messages that wait without a job in the queue a new one, and ends those whose job failed for good. Called by every dispatch. Returns how many got a job. Does not commit.';

-- 30 and 90 days (chosen): what is sent is of interest for a complaint, what is dead for as long as someone may act.
create function bookpost_private.prune_deliveries() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count integer;
begin
  delete from bookpost_private.deliveries d
  where d.id in (
    select o.id from bookpost_private.deliveries o
    where o.ended_at < clock_timestamp() - case when o.state = 'dead' then interval '90 days' else interval '30 days' end
    limit 50000
    -- skip locked: a person is retrying it this moment.
    for update skip locked
  );
  get diagnostics v_count = row_count;
  delete from bookpost_private.code_requests r where r.requested_at < clock_timestamp() - interval '1 day';
  return v_count;
end;
$$;

comment on function bookpost_private.prune_deliveries() is
  'Removes messages that ended 30 days ago, dead ones after 90, and yesterday''s requests for codes. Returns how many messages, 50,000 at most. Does not commit.';
