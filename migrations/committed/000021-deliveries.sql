--! Previous: sha1:cd3ceb5a1149ee24aaccf83c76bdac764f398533
--! Hash: sha1:4e58b430d8cc9c30e13580703a9dc563a960dd61
--! Message: deliveries

-- Messages on their way to people: one row for each, queued in the commit that has the news. migrations/README.md tells it
-- as a state machine.

create table bookpost_private.delivery_states (
  state text primary key,
  description text not null,
  is_final boolean not null
);

insert into bookpost_private.delivery_states (state, is_final, description) values
  ('queued', false, 'Waits until due_at; its job is in the queue.'),
  ('sending', false, 'A worker is handing it over, or died while it did.'),
  ('sent', true, 'Handed over: to the mail server, the SMS provider, the endpoint.'),
  ('folded', true, 'Over the cap of the hour: told in the digest that digest_id names.'),
  ('dropped', true, 'Not sent on purpose; reason says why.'),
  ('dead', true, 'Could not be sent; reason and last_error say why. retry_delivery brings it back.');

comment on table bookpost_private.delivery_states is 'What can become of a message.';

create table bookpost_private.deliveries (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references bookpost.users on delete cascade,
  channel text not null references bookpost_private.channels on delete restrict,
  endpoint_id uuid references bookpost.webhook_endpoints on delete cascade,
  kind text not null,
  state text not null default 'queued' references bookpost_private.delivery_states on delete restrict,
  reason text,
  digest_id uuid references bookpost_private.deliveries on delete set null,
  created_at timestamptz not null default clock_timestamp(),
  due_at timestamptz not null default clock_timestamp(),
  attempt_count integer not null default 0,
  failure_count integer not null default 0,
  attempted_at timestamptz,
  ended_at timestamptz,
  worker_id text,
  email_hash bytea,
  is_doubtful boolean not null default false,
  provider_id text,
  last_error text,
  constraint deliveries_kind_is_known check (kind in ('news', 'digest', 'test', 'verification', 'endpoint_disabled')),
  constraint deliveries_webhooks_have_an_endpoint check ((channel = 'webhook' or kind = 'endpoint_disabled') = (endpoint_id is not null)),
  constraint deliveries_only_apps_are_nobody check (user_id is not null or endpoint_id is not null),
  constraint deliveries_end_has_a_time check (
    (state in ('sent', 'folded', 'dropped', 'dead')) = (ended_at is not null)
  ),
  constraint deliveries_drop_or_death_has_a_reason check ((state in ('dropped', 'dead')) = (reason is not null)),
  -- On delete of a digest its messages stay folded; nobody asks for them any more.
  constraint deliveries_only_folded_have_a_digest check (digest_id is null or state = 'folded')
) with (fillfactor = 70);

comment on table bookpost_private.deliveries is 'One message to one person or endpoint by one channel, and what became of it. Kept 30 days after its end, dead ones 90.';
comment on column bookpost_private.deliveries.kind is 'news (with its notifications in delivery_items), digest of many news, test, verification of a phone number, endpoint_disabled.';
comment on column bookpost_private.deliveries.user_id is 'To whom; null: a test to an endpoint that serves everyone.';
comment on column bookpost_private.deliveries.attempt_count is 'Times that a worker began to hand it over; what an attempt reports counts only while it is the last.';
comment on column bookpost_private.deliveries.failure_count is 'Attempts that failed or were interrupted by a death; the retry schedule goes by it.';
comment on column bookpost_private.deliveries.email_hash is
  'SHA-256 of the address that the last attempt went to: what its server says of that one is not said of a newer one.';
comment on column bookpost_private.deliveries.is_doubtful is
  'An attempt was broken off before its end was known: the message may have arrived twice. Not for webhooks, whose id tells the receiver.';
comment on column bookpost_private.deliveries.provider_id is 'What the mail server, provider or endpoint called it.';

-- The next that is due, for what has lost its job.
create index deliveries_due_at_idx on bookpost_private.deliveries (due_at) where state in ('queued', 'sending');
-- "How many in this hour, and what came last?"
create index deliveries_user_id_channel_attempted_at_idx on bookpost_private.deliveries (user_id, channel, attempted_at desc);
create index deliveries_endpoint_id_idx on bookpost_private.deliveries (endpoint_id) where endpoint_id is not null;
create index deliveries_digest_id_idx on bookpost_private.deliveries (digest_id) where digest_id is not null;
-- The list of the dead, and what retention removes.
create index deliveries_ended_at_idx on bookpost_private.deliveries (state, ended_at) where ended_at is not null;

create table bookpost_private.delivery_items (
  delivery_id uuid not null references bookpost_private.deliveries on delete cascade,
  notification_id uuid not null references bookpost.notifications on delete cascade,
  channel text not null,
  endpoint_id uuid,
  is_told boolean not null default false,
  primary key (delivery_id, notification_id),
  -- P17: at most one message for each notification and way.
  constraint delivery_items_one_message_per_way unique nulls not distinct (notification_id, channel, endpoint_id)
);

comment on table bookpost_private.delivery_items is 'Which notifications a message carries: several books in one parcel are one message.';
comment on column bookpost_private.delivery_items.is_told is
  'Whether the last attempt carried it, or one that was broken off; newer news leave it out. Kept only for channels with damping, which go by it.';

create table bookpost_private.delivery_outcomes (
  outcome text primary key,
  ends_as text references bookpost_private.delivery_states on delete restrict,
  counts boolean not null,
  holds_route boolean not null,
  description text not null
);

insert into bookpost_private.delivery_outcomes (outcome, ends_as, counts, holds_route, description) values
  ('sent', 'sent', false, false, 'Taken over by the other side.'),
  ('unavailable', null, true, true, 'No connection, no answer in time, a server''s own error: again by the schedule.'),
  ('unanswered', null, true, true, 'It has gone out and no answer came, so it may have arrived: again by the schedule, marked as doubtful.'),
  ('deferred', null, true, false, 'The other side will not take this message now (greylisting, a full mailbox): again by the schedule.'),
  ('rate_limited', null, false, true, 'The other side asks us to slow down: again when it said.'),
  ('misconfigured', null, false, true, 'It refuses our credentials or our sender: again by the schedule, a person must act.'),
  ('local', null, false, false, 'Our side: no name server, our own shutdown. Again soon.'),
  ('refused', 'dead', true, false, 'It will never take this message.'),
  ('no_such_address', 'dead', true, false, 'The address does not exist: nothing more is sent there.'),
  ('opted_out', 'dropped', false, false, 'The person has said no to the provider (STOP).'),
  ('gone', 'dead', true, false, 'The endpoint answered 410: it is disabled.');

comment on table bookpost_private.delivery_outcomes is 'How an attempt can end, and what follows.';
comment on column bookpost_private.delivery_outcomes.ends_as is 'The message''s last state; null: it is tried again.';
comment on column bookpost_private.delivery_outcomes.counts is 'Whether it is a failure of this message.';
comment on column bookpost_private.delivery_outcomes.holds_route is 'Whether everything else that way waits a while as well.';

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost_private.delivery_states', 'bookpost_private.deliveries', 'bookpost_private.delivery_items', 'bookpost_private.delivery_outcomes'
]::regclass[]) t;

-- What a message passes on its way; trouble there concerns all that go the same way.
create function bookpost_private.route_of(delivery bookpost_private.deliveries) returns text
language sql immutable parallel safe
return case delivery.channel when 'webhook' then 'webhook:' || delivery.endpoint_id else delivery.channel end;

-- The queue's name bounds how many are sent at once: a mail server that hangs holds so many of a worker's slots and no more.
create function bookpost_private.delivery_queue(delivery bookpost_private.deliveries) returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select bookpost_private.route_of(delivery) || ':' || (pg_catalog.hashtext(delivery.user_id::text) & 2147483647) % c.queues
  from bookpost_private.channels c where c.channel = delivery.channel;
end;

-- One job for each message. 3 attempts: a job fails for a bug of ours only.
create function bookpost_private.add_delivery_jobs(delivery_ids uuid[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select graphile_worker.add_jobs(array(
    select (
      'send_' || d.channel, json_build_object('deliveryId', d.id),
      bookpost_private.delivery_queue(d), d.due_at, 3, 'delivery:' || d.id, null, null
    )::graphile_worker.job_spec
    from bookpost_private.deliveries d where d.id = any (delivery_ids)
    order by d.due_at, d.id
  ));
$$;

comment on function bookpost_private.add_delivery_jobs(uuid[]) is
  'Queues a send_email, send_sms or send_webhook job for each of these messages at its due_at, in place of the one it has. Does not commit.';

-- Whether a person is reached by a channel, and if not, why; null: yes. Asked when a message is queued and again when it is sent.
create function bookpost_private.why_not_reached(person bookpost.users, channel text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select case why_not_reached.channel
    when 'email' then case
      when person.email is null then 'no_address'
      when person.email_opted_out_at is not null then 'opted_out'
      when not person.is_email_wanted then 'not_wanted'
      when person.email_refused_at is not null then 'address_refused'
    end
    when 'sms' then case
      when person.phone_number is null then 'no_address'
      when person.sms_opted_out_at is not null then 'opted_out'
      when person.phone_verified_at is null then 'not_verified'
      when not person.is_sms_wanted then 'not_wanted'
    end
  end;
end;

comment on function bookpost_private.why_not_reached(bookpost.users, text) is
  'Why a person is not to be reached by email or sms: no_address, opted_out, not_verified, not_wanted, address_refused; null where she is.';

-- One message for each person, parcel and way: the books of hers in it are told together.
create function bookpost_private.queue_deliveries(notification_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids uuid[];
begin
  with endpoints as materialized (
    select e.id, e.user_id from bookpost.webhook_endpoints e
    where e.disabled_at is null
      and (e.user_id is null or e.user_id in (select n.user_id from bookpost.notifications n where n.id = any (notification_ids)))
    order by e.id
    -- skip locked: an app is deleting it, perhaps for long, and lookups must not wait for that.
    for key share skip locked
  ),
  ways as (
    select n.id as notification_id, n.user_id, n.parcel_id, n.created_at, w.channel, w.endpoint_id,
      case when w.damping is not null and n.kind in ('stage', 'action_required') then (
        select max(o.created_at) + w.damping
        from bookpost.notifications o
        where o.user_id = n.user_id and o.book_id = n.book_id and o.parcel_id = n.parcel_id and o.id <> n.id
          and o.kind = n.kind and o.status = n.status and o.created_at > n.created_at - w.damping
      ) end as damped_until
    from bookpost.notifications n
    join bookpost.users u on u.id = n.user_id
    cross join lateral (
      select c.channel, null::uuid as endpoint_id, c.damping
      from bookpost_private.channels c
      where c.channel <> 'webhook' and c.is_configured and bookpost_private.why_not_reached(u, c.channel) is null
      union all
      select 'webhook', e.id, null
      from endpoints e
      where e.user_id = n.user_id or e.user_id is null
    ) w
    where n.id = any (notification_ids)
  ),
  messages as (
    select gen_random_uuid() as id, w.user_id, w.parcel_id, w.channel, w.endpoint_id,
      max(w.damped_until) as damped_until, array_agg(w.notification_id) as notification_ids
    from ways w
    group by w.user_id, w.parcel_id, w.channel, w.endpoint_id
  ),
  queued as (
    insert into bookpost_private.deliveries (id, user_id, channel, endpoint_id, kind, due_at)
    select m.id, m.user_id, m.channel, m.endpoint_id, 'news', greatest(clock_timestamp(), m.damped_until)
    from messages m
    returning id
  ),
  items as (
    insert into bookpost_private.delivery_items (delivery_id, notification_id, channel, endpoint_id)
    select m.id, i.id, m.channel, m.endpoint_id
    from messages m cross join lateral unnest(m.notification_ids) i (id)
  )
  select array_agg(q.id) into v_ids from queued q;
  if v_ids is not null then
    perform bookpost_private.add_delivery_jobs(v_ids);
  end if;
end;
$$;

comment on function bookpost_private.queue_deliveries(uuid[]) is
  'Queues the messages that carry these notifications, by every channel that is configured and wanted and to every endpoint in use. A stage or a call for action that was told within the channel''s damping waits until that is over. Does not commit.';
