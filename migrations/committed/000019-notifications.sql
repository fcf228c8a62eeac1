--! Previous: sha1:e0af93cdc1241534cfc2beb498edd4eb21fa1b41
--! Hash: sha1:17fbe185e4e2aa5eceedd935c22bebf29517aca5
--! Message: notifications

-- What people are told in the app, and what may be worth telling. How it reaches them by email, text message and webhook
-- is the next files' business; migrations/README.md tells it as a whole.

create table bookpost.notification_kinds (
  kind text primary key,
  description text not null
);

comment on table bookpost.notification_kinds is 'What a notification tells of.';
comment on column bookpost.notification_kinds.description is 'In a sentence.';

insert into bookpost.notification_kinds (kind, description) values
  ('stage', 'The book has reached a new stage.'),
  ('action_required', 'The carrier waits for the recipient: an address, papers, money.'),
  ('estimate', 'The carrier expects to deliver it a day or more earlier or later than was told before.');

create table bookpost.notifications (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references bookpost.users on delete cascade,
  book_id uuid not null references bookpost.books on delete cascade,
  parcel_id uuid not null references bookpost.parcels on delete cascade,
  kind text not null default 'stage' references bookpost.notification_kinds on update cascade on delete restrict,
  status text not null references bookpost.parcel_statuses on update cascade on delete restrict,
  status_version integer not null,
  notice_version integer,
  is_action_required boolean not null default false,
  detail text,
  location text,
  occurred_at timestamptz,
  local_time timestamp,
  time_zone text,
  is_date_only boolean not null default false,
  estimated_from timestamp,
  estimated_until timestamp,
  estimated_time_zone text,
  is_estimate_a_date boolean not null default false,
  created_at timestamptz not null default now(),
  read_at timestamptz,
  -- Nulls are alike: a stage has no notice_version.
  constraint notifications_one_per_status_version unique nulls not distinct (user_id, book_id, parcel_id, status_version, notice_version),
  constraint notifications_only_notices_have_a_notice_version check ((kind = 'stage') = (notice_version is null))
);

comment on table bookpost.notifications is
  'What a person is told in the app of a book of hers. Written in the same commit as what it tells of.';
comment on column bookpost.notifications.user_id is 'Who is told.';
comment on column bookpost.notifications.kind is 'What it tells of: a stage, a call for action, an estimate that moved.';
comment on column bookpost.notifications.status is 'The stage of the book at that moment.';
comment on column bookpost.notifications.status_version is 'Which change of the parcel''s status it tells of, or has seen last.';
comment on column bookpost.notifications.notice_version is 'Which of the parcel''s notices it tells of; null for a stage.';
comment on column bookpost.notifications.is_action_required is 'The carrier waits for the recipient.';
comment on column bookpost.notifications.detail is 'The carrier''s own words.';
comment on column bookpost.notifications.location is 'Where, in the carrier''s words.';
comment on column bookpost.notifications.occurred_at is 'When the carrier saw it, where it gave an offset or zone; null: see local_time.';
comment on column bookpost.notifications.local_time is 'What the wall clock showed there.';
comment on column bookpost.notifications.time_zone is 'The zone or offset the carrier gave; null: it gave none.';
comment on column bookpost.notifications.is_date_only is 'The carrier gave a day and no time of day.';
comment on column bookpost.notifications.estimated_from is 'Earliest expected delivery, as a wall clock at the destination shows it.';
comment on column bookpost.notifications.estimated_until is 'Latest expected delivery, as a wall clock at the destination shows it.';
comment on column bookpost.notifications.estimated_time_zone is 'The zone of the estimate; null: the carrier gave none.';
comment on column bookpost.notifications.is_estimate_a_date is 'The carrier gave days, not times of day.';
comment on column bookpost.notifications.created_at is 'When it was learnt.';
comment on column bookpost.notifications.read_at is 'When it was read; null: not yet.';

-- The operator's list of all notifications, newest first.
create index notifications_created_at_idx on bookpost.notifications (created_at desc, id desc);
-- "My notifications, newest first", and the count of unread ones.
create index notifications_user_id_created_at_idx on bookpost.notifications (user_id, created_at desc, id);
create index notifications_unread_idx on bookpost.notifications (user_id) where read_at is null;
create index notifications_book_id_idx on bookpost.notifications (book_id);
create index notifications_parcel_id_idx on bookpost.notifications (parcel_id);

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost.notification_kinds', 'bookpost.notifications'
]::regclass[]) t;

grant select on bookpost.notification_kinds to bookpost_visitor, bookpost_member, bookpost_operator;
create policy everyone_reads on bookpost.notification_kinds for select using (true);
grant select on bookpost.notifications to bookpost_member, bookpost_operator;
create policy member_sees_her_own on bookpost.notifications for select to bookpost_member
  using (user_id = (select bookpost.current_user_id()));
create policy operator_sees_all on bookpost.notifications for select to bookpost_operator using (true);

-- Older news are no news to one who begins to follow a parcel. 72 hours: a long weekend (chosen).
create function bookpost_private.stale_after() returns interval
language sql immutable parallel safe
return interval '72 hours';

-- The newest scan that counts: where, when and in what words. Of the stage itself where one tells of it.
create function bookpost_private.telling_scan(parcel_id uuid, status text) returns setof bookpost.tracking_events
language sql stable rows 1
set search_path = pg_catalog, pg_temp
begin atomic
  select e.*
  from bookpost.tracking_events e
  join bookpost.parcels p on p.id = e.parcel_id
  where e.parcel_id = telling_scan.parcel_id
    and not bookpost_private.is_of_earlier_life(e.occurred_at, e.local_time, e.is_date_only, p.sent_on, p.created_at)
  order by coalesce(e.status = telling_scan.status, false) desc, e.sort_at desc, e.sort_rank desc, e.identity desc
  limit 1;
end;

-- Writes what owners are told of some parcels. Whoever waits for the first answer of a parcel is told its present stage,
-- unless that is old; the stages before it are history.
create function bookpost_private.notify_owners(
  changed_ids uuid[], called_ids uuid[] default null, moved_ids uuid[] default null, answered_ids uuid[] default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids uuid[];
begin
  with owners as (
    select u.id as user_id, b.book_id, p.id as parcel_id, b.first_synced_at is null as is_first, s.is_told,
      coalesce(p.id = any (changed_ids), false) as is_changed,
      coalesce(p.id = any (called_ids), false) as is_called,
      coalesce(p.id = any (moved_ids), false) and p.status not in ('delivered', 'return_to_sender', 'cancelled') as is_moved
    from bookpost.users u
    join bookpost.parcel_books b on b.owner_id = u.id and b.stopped_at is null
    join bookpost.books k on k.id = b.book_id
    join bookpost.parcels p on p.id = b.parcel_id
    join bookpost.parcel_statuses s on s.status = p.status
    -- First by the parcels, which an index finds: the ors alone would read the whole table at every lookup.
    where p.id = any (changed_ids || called_ids || moved_ids || answered_ids)
      and (p.id = any (changed_ids) or p.id = any (called_ids) or p.id = any (moved_ids) or b.first_synced_at is null)
    -- Waits for whoever is deleting the owner or the book, and then there is nobody to tell. Without it the row's own
    -- foreign keys would wait, and fail.
    for key share of u, k
  ),
  told as (
    select o.*, n.kind
    from owners o
    cross join lateral (
      select case
        when o.is_told and (o.is_changed or o.is_first) then 'stage'
        when o.is_called then 'action_required'
        when o.is_moved and not o.is_first then 'estimate'
      end as kind
    ) n
    where n.kind is not null
  ),
  written as (
    insert into bookpost.notifications (
      user_id, book_id, parcel_id, kind, status, status_version, notice_version, is_action_required, detail, location, occurred_at,
      local_time, time_zone, is_date_only, estimated_from, estimated_until, estimated_time_zone, is_estimate_a_date
    )
    select t.user_id, t.book_id, p.id, t.kind, p.status, p.status_version, case when t.kind <> 'stage' then p.notice_version end,
      p.is_action_required, left(coalesce(e.description, p.raw_text), 500), e.location, e.occurred_at, e.local_time, e.time_zone,
      coalesce(e.is_date_only, false), p.estimated_from, p.estimated_until, p.estimated_time_zone, p.is_estimate_a_date
    from told t
    join bookpost.parcels p on p.id = t.parcel_id
    left join lateral bookpost_private.telling_scan(p.id, p.status) e on true
    where not (t.is_first and coalesce(e.sort_at < now() - bookpost_private.stale_after(), false))
    -- Told already: one who began to follow the parcel again.
    on conflict on constraint notifications_one_per_status_version do nothing
    returning id
  )
  select array_agg(w.id) into v_ids from written w;
  if v_ids is not null then
    perform bookpost_private.queue_deliveries(v_ids);
  end if;
end;
$$;

comment on function bookpost_private.notify_owners(uuid[], uuid[], uuid[], uuid[]) is
  'Tells owners what is new of some parcels, and queues the messages: changed: the stage; called: the carrier waits for the recipient; moved: the estimate, by a day or more; answered: the carrier has answered, and whoever heard of the parcel for the first time by it is told its stage unless that is 72 hours old. One notification for each owner and book: the first of these that holds. Does not commit.';

-- What people say and see of their notifications.

create function bookpost.mark_notifications_read(
  ids uuid[] default null, up_to timestamptz default null, person uuid default null
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_person bookpost.users := bookpost_private.own_user(mark_notifications_read.person);
  v_count integer;
begin
  if num_nonnulls(mark_notifications_read.ids, mark_notifications_read.up_to) <> 1 then
    raise exception 'Say which notifications were read: their ids, or up to which moment.' using errcode = 'BP400';
  end if;
  with unread as (
    select n.id
    from bookpost.notifications n
    where n.user_id = v_person.id and n.read_at is null
      and (n.id = any (mark_notifications_read.ids) or n.created_at <= mark_notifications_read.up_to)
    -- In one order, so that two at once do not wait for each other; the second then finds them read.
    order by n.id
    for no key update
  )
  update bookpost.notifications n set read_at = clock_timestamp() from unread u where n.id = u.id;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;

comment on function bookpost.mark_notifications_read(uuid[], timestamptz, uuid) is
  'A person has read notifications: those of these ids, or all until a moment (that one included). Others'' ids and those read already count for nothing. Returns how many became read. Left out, the person is who is signed in. Of two calls at once the second waits and counts what the first has left. Raises BP404 for an unknown person, BP400 unless exactly one of ids and up_to is given.';

create function bookpost.users_unread_notification_count(person bookpost.users) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  -- With the reader's own rights; by notifications_unread_idx.
  select count(*)::integer from bookpost.notifications n where n.user_id = person.id and n.read_at is null;
end;
comment on function bookpost.users_unread_notification_count(bookpost.users) is 'How many of her notifications she has not read.';
