--! Previous: sha1:b5d2cfc691eb37adb754bfc14a7732043f841046
--! Hash: sha1:b956dc5b847e9bda8191e4843d1e422efd8d60aa
--! Message: changes

-- What has changed, for an app that keeps a copy: told to each person in the commit of the change itself, and read back from
-- any point in time without a gap. migrations/README.md tells how the cursor works.

create table bookpost.changes (
  id bigint generated always as identity,
  -- The transaction that made the change. Compared with a cursor's snapshot it says whether the change was visible then.
  xid xid8 not null default pg_current_xact_id(),
  user_id uuid not null references bookpost.users on delete cascade,
  kind text not null,
  -- NOTE: no foreign keys: a book that was deleted is told as a change, too.
  book_id uuid,
  parcel_id uuid,
  notification_id uuid,
  changed_at timestamptz not null default now(),
  -- "All changes after this point", as the operator and the process that wakes the subscribers ask it.
  primary key (xid, id),
  constraint changes_kind_says_which_ids_there_are check (
    case kind
      when 'book' then book_id is not null and parcel_id is null and notification_id is null
      when 'parcel' then book_id is null and parcel_id is not null and notification_id is null
      when 'notification' then book_id is not null and parcel_id is not null and notification_id is not null
      else false
    end
  ),
  -- Within one transaction the same thing is told once. Another's row is never met here: no two have the same xid.
  constraint changes_once_per_transaction unique nulls not distinct (user_id, xid, kind, book_id, parcel_id, notification_id)
);

comment on table bookpost.changes is
  'What became different of what a person may see: one row for each person, thing and transaction. What it is like now, the thing itself tells.';
comment on column bookpost.changes.xid is 'The transaction that changed it.';
comment on column bookpost.changes.user_id is 'Whose book, parcel or notification it is, or was.';
comment on column bookpost.changes.kind is
  'book: it, or which parcels it travels in; parcel: it, its scans, or whether she may see it; notification: it came, was read, or went.';
comment on column bookpost.changes.book_id is 'The book, which may be gone by now.';
comment on column bookpost.changes.parcel_id is 'The parcel, which she may no longer see.';
comment on column bookpost.changes.notification_id is 'The notification, which may be gone by now.';
comment on column bookpost.changes.changed_at is 'When the transaction began that changed it. Not an order: which was committed first, it does not tell.';

-- "My changes after this point", a page at a time.
create index changes_user_id_xid_id_idx on bookpost.changes (user_id, xid, id);

-- Up to which transaction changes have been removed: a cursor that could miss some of them is refused.
create table bookpost_private.change_horizon (
  is_only boolean primary key default true,
  pruned_through xid8 not null default '0',
  constraint change_horizon_has_one_row check (is_only)
);
insert into bookpost_private.change_horizon default values;

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost.changes', 'bookpost_private.change_horizon'
]::regclass[]) t;

grant select on bookpost.changes to bookpost_member, bookpost_operator;
create policy member_sees_her_own on bookpost.changes for select to bookpost_member
  using (user_id = (select bookpost.current_user_id()));
create policy operator_sees_all on bookpost.changes for select to bookpost_operator using (true);

-- Written by triggers, one statement for each statement. They run with their owner's rights, so that all who may see a thing
-- are told, whoever has changed it. Nobody is told who is being deleted: `for key share` waits for the end of that, and
-- then she is gone; the foreign key alone would wait, and fail.

-- Wakes whoever waits for changes, once per transaction: Postgres sends the same notification of one transaction only once.
-- It carries nothing, since everyone who may connect may listen, and may send it as well. At commit a notification takes a
-- lock that all databases of the server share, so there is none where nothing has changed.
create function bookpost_private.wake_listeners() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$ select pg_catalog.pg_notify('bookpost:changed', '') $$;

comment on function bookpost_private.wake_listeners() is 'Tells at commit, on channel bookpost:changed, that there are changes. Does not commit.';

create function bookpost_private.tg_books__tell_changes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if TG_OP = 'INSERT' then
    with told as (
      select u.id as user_id, n.id as book_id from new_rows n join bookpost.users u on u.id = n.owner_id for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id) select t.user_id, 'book', t.book_id from told t on conflict do nothing;
  elsif TG_OP = 'DELETE' then
    with told as (
      select u.id as user_id, o.id as book_id from old_rows o join bookpost.users u on u.id = o.owner_id for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id) select t.user_id, 'book', t.book_id from told t on conflict do nothing;
  else
    with told as (
      -- Both owners, where it got another.
      select u.id as user_id, n.id as book_id
      from new_rows n
      join old_rows o on o.id = n.id and (o.*) is distinct from (n.*)
      join bookpost.users u on u.id in (n.owner_id, o.owner_id)
      for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id) select t.user_id, 'book', t.book_id from told t on conflict do nothing;
  end if;
  if found then
    perform bookpost_private.wake_listeners();
  end if;
  return null;
end;
$$;

create function bookpost_private.tg_parcels__tell_changes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  with told as (
    select b.owner_id as user_id, n.id as parcel_id
    from new_rows n
    join old_rows o on o.id = n.id and (o.*) is distinct from (n.*)
    join bookpost.parcel_books b on b.parcel_id = n.id
    join bookpost.users u on u.id = b.owner_id
    -- How the database keeps count of what it has told is no reader's business.
    where (o.notice_version, o.told_estimated_until) is not distinct from (n.notice_version, n.told_estimated_until)
      or to_jsonb(o) - array['notice_version', 'told_estimated_until'] <> to_jsonb(n) - array['notice_version', 'told_estimated_until']
    for key share of u
  )
  insert into bookpost.changes (user_id, kind, parcel_id) select distinct t.user_id, 'parcel', t.parcel_id from told t on conflict do nothing;
  if found then
    perform bookpost_private.wake_listeners();
  end if;
  return null;
end;
$$;

create function bookpost_private.tg_tracking_events__tell_changes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  with told as (
    select b.owner_id as user_id, b.parcel_id
    from bookpost.parcel_books b
    join bookpost.users u on u.id = b.owner_id
    -- First the parcels, once each: a first answer brings many scans.
    where b.parcel_id in (select n.parcel_id from new_rows n)
    for key share of u
  )
  insert into bookpost.changes (user_id, kind, parcel_id) select distinct t.user_id, 'parcel', t.parcel_id from told t on conflict do nothing;
  if found then
    perform bookpost_private.wake_listeners();
  end if;
  return null;
end;
$$;

-- A relation is told as a change of the book; where it begins or goes, also of the parcel, which she may see from now on or
-- no longer.
create function bookpost_private.tg_parcel_books__tell_changes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if TG_OP = 'INSERT' then
    with told as (
      select u.id as user_id, n.book_id, n.parcel_id from new_rows n join bookpost.users u on u.id = n.owner_id for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id, parcel_id)
    select t.user_id, 'book', t.book_id, null from told t union select t.user_id, 'parcel', null, t.parcel_id from told t
    on conflict do nothing;
  elsif TG_OP = 'DELETE' then
    with told as (
      select u.id as user_id, o.book_id, o.parcel_id from old_rows o join bookpost.users u on u.id = o.owner_id for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id, parcel_id)
    select t.user_id, 'book', t.book_id, null from told t union select t.user_id, 'parcel', null, t.parcel_id from told t
    on conflict do nothing;
  else
    with told as (
      select u.id as user_id, n.book_id, case when n.owner_id <> o.owner_id then n.parcel_id end as parcel_id
      from new_rows n
      join old_rows o on o.book_id = n.book_id and o.parcel_id = n.parcel_id and (o.*) is distinct from (n.*)
      join bookpost.users u on u.id in (n.owner_id, o.owner_id)
      for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id, parcel_id)
    select t.user_id, 'book', t.book_id, null from told t
    union select t.user_id, 'parcel', null, t.parcel_id from told t where t.parcel_id is not null
    on conflict do nothing;
  end if;
  if found then
    perform bookpost_private.wake_listeners();
  end if;
  return null;
end;
$$;

create function bookpost_private.tg_notifications__tell_changes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if TG_OP = 'INSERT' then
    with told as (
      select u.id as user_id, n.book_id, n.parcel_id, n.id
      from new_rows n join bookpost.users u on u.id = n.user_id for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id, parcel_id, notification_id)
    select t.user_id, 'notification', t.book_id, t.parcel_id, t.id from told t on conflict do nothing;
  elsif TG_OP = 'DELETE' then
    with told as (
      select u.id as user_id, o.book_id, o.parcel_id, o.id
      from old_rows o join bookpost.users u on u.id = o.user_id for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id, parcel_id, notification_id)
    select t.user_id, 'notification', t.book_id, t.parcel_id, t.id from told t on conflict do nothing;
  else
    with told as (
      select u.id as user_id, n.book_id, n.parcel_id, n.id
      from new_rows n
      join old_rows o on o.id = n.id and (o.*) is distinct from (n.*)
      join bookpost.users u on u.id in (n.user_id, o.user_id)
      for key share of u
    )
    insert into bookpost.changes (user_id, kind, book_id, parcel_id, notification_id)
    select t.user_id, 'notification', t.book_id, t.parcel_id, t.id from told t on conflict do nothing;
  end if;
  if found then
    perform bookpost_private.wake_listeners();
  end if;
  return null;
end;
$$;

-- A trigger with a transition table has one event only.
create trigger _600_tell_insert after insert on bookpost.books referencing new table as new_rows
  for each statement execute function bookpost_private.tg_books__tell_changes();
create trigger _600_tell_update after update on bookpost.books referencing old table as old_rows new table as new_rows
  for each statement execute function bookpost_private.tg_books__tell_changes();
create trigger _600_tell_delete after delete on bookpost.books referencing old table as old_rows
  for each statement execute function bookpost_private.tg_books__tell_changes();

-- NOTE: a parcel that is new or deleted is told by its relations.
create trigger _600_tell_update after update on bookpost.parcels referencing old table as old_rows new table as new_rows
  for each statement execute function bookpost_private.tg_parcels__tell_changes();

-- NOTE: scans go with their parcel only.
create trigger _600_tell_insert after insert on bookpost.tracking_events referencing new table as new_rows
  for each statement execute function bookpost_private.tg_tracking_events__tell_changes();
create trigger _600_tell_update after update on bookpost.tracking_events referencing new table as new_rows
  for each statement execute function bookpost_private.tg_tracking_events__tell_changes();

create trigger _600_tell_insert after insert on bookpost.parcel_books referencing new table as new_rows
  for each statement execute function bookpost_private.tg_parcel_books__tell_changes();
create trigger _600_tell_update after update on bookpost.parcel_books referencing old table as old_rows new table as new_rows
  for each statement execute function bookpost_private.tg_parcel_books__tell_changes();
create trigger _600_tell_delete after delete on bookpost.parcel_books referencing old table as old_rows
  for each statement execute function bookpost_private.tg_parcel_books__tell_changes();

create trigger _600_tell_insert after insert on bookpost.notifications referencing new table as new_rows
  for each statement execute function bookpost_private.tg_notifications__tell_changes();
create trigger _600_tell_update after update on bookpost.notifications referencing old table as old_rows new table as new_rows
  for each statement execute function bookpost_private.tg_notifications__tell_changes();
create trigger _600_tell_delete after delete on bookpost.notifications referencing old table as old_rows
  for each statement execute function bookpost_private.tg_notifications__tell_changes();

-- The cursor. It is no number: numbers are given out before the commit, so a late commit comes below those that were read
-- already. It is a snapshot, that is, which transactions were visible; new is what is visible now and was not then.

-- Transaction ids mean something only in the history in which they were given out.
create function bookpost.history_id() returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select (select s.system_identifier from pg_control_system() s) || '.' || case
    -- A standby may name the former one for a moment after its primary was replaced: then a cursor is refused that was good.
    when pg_is_in_recovery() then greatest(
      (select c.timeline_id from pg_control_checkpoint() c), (select r.min_recovery_end_timeline from pg_control_recovery() r)
    )::text
    -- Not the control file's: that learns of a promotion at the next checkpoint only.
    else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer::text
  end;
end;

comment on function bookpost.history_id() is
  'Names the history to which transaction ids belong: the server''s own number and its timeline, which a promotion raises. After a restored dump, a failover or a recovery to a point in time it is another.';

create function bookpost.pruned_through() returns xid8
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select h.pruned_through from bookpost_private.change_horizon h;
end;

comment on function bookpost.pruned_through() is
  'Up to which transaction changes have been removed for their age; of those after it none has.';

create function bookpost.told_through() returns xid8
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select greatest(
    bookpost.pruned_through(),
    -- Below the present end: not of another server's dump.
    (select c.xid from bookpost.changes c where c.xid < pg_snapshot_xmax(pg_current_snapshot()) order by c.xid desc limit 1)
  );
end;

comment on function bookpost.told_through() is
  'The last transaction, by id, of which anybody''s change is visible.';

-- Two things make it other than pg_current_snapshot().
--
-- It says nothing of transactions after the last that has told a change. An id that was used and left no trace on disk before
-- a crash is given out again after it: a cursor that had counted it as read would leave out the change that comes with it
-- then. Of a change that is visible the commit is on disk, and so no id up to it is ever given out again.
--
-- On a standby Postgres does not list the transactions under way (it keeps them elsewhere, and pg_current_snapshot() leaves
-- them out): there all from the oldest of them on count as not visible yet, and a long transaction holds changes back.
-- NOTE: a change committed with synchronous_commit off is visible before it is on disk; nothing of ours does that.
create function bookpost.present_snapshot(below xid8 default '0') returns pg_snapshot
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select (
    least(pg_snapshot_xmin(s.raw), s.bound) || ':'
    || case when pg_is_in_recovery() then least(pg_snapshot_xmin(s.raw), s.bound) else least(pg_snapshot_xmax(s.raw), s.bound) end || ':'
    || case
      when pg_is_in_recovery() then ''
      else coalesce((select string_agg(x::text, ',' order by x) from pg_snapshot_xip(s.raw) x where x < s.bound), '')
    end
  )::pg_snapshot
  from (
    select pg_current_snapshot() as raw,
      greatest((bookpost.told_through()::text::bigint + 1)::text::xid8, present_snapshot.below, '3') as bound
  ) s;
end;

comment on function bookpost.present_snapshot(xid8) is
  'Which transactions count as read by whoever reads all changes in this statement: the visible ones up to the last that has told a change, or, where that is higher, those below the given id (of a cursor, which was given out by the same rule).';

-- Text of a cursor: its parts, joined by bars, in the alphabet of base64url (RFC 4648, section 5).
create function bookpost.encode_cursor(variadic parts text[]) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
begin atomic
  select translate(encode(convert_to(array_to_string(parts, '|'), 'UTF8'), 'base64'), E'+/=\n', '-_');
end;

comment on function bookpost.encode_cursor(text[]) is
  'A cursor''s text. Parts: the history, the snapshot up to which all is read; within a page also the one up to which it reads, and the last change''s xid and id.';

create function bookpost.latest_cursor() returns text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select bookpost.encode_cursor(variadic array[bookpost.history_id(), bookpost.present_snapshot()::text]);
end;

comment on function bookpost.latest_cursor() is
  'The cursor of now: ask for it first, then read what you keep, then ask for the changes after it.';

-- stable: it all happens in the one snapshot of the statement that calls it, and that is the one it names.
create function bookpost.changes_since(after text, first integer)
returns table (changes jsonb, end_cursor text, has_next_page boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_history text := bookpost.history_id();
  v_now pg_snapshot;
  v_parts text[];
  v_from pg_snapshot;
  v_to pg_snapshot;
  v_xid xid8 := '0';
  v_id bigint := 0;
  v_rows bookpost.changes[];
  v_is_more boolean;
begin
  if first is null or first not between 0 and 1000 then
    raise exception 'A page of changes has 0 to 1000 rows, not %.', coalesce(first::text, 'null') using errcode = 'BP400';
  end if;
  if after is null then
    -- All that is kept. 3 is the first transaction id that Postgres gives out.
    v_from := '3:3:';
  else
    begin
      if after !~ '^[A-Za-z0-9_-]+$' then
        raise exception using errcode = 'invalid_text_representation';
      end if;
      v_parts := string_to_array(
        convert_from(decode(translate(after, '-_', '+/') || repeat('=', (4 - length(after) % 4) % 4), 'base64'), 'UTF8'), '|'
      );
      v_from := v_parts[2]::pg_snapshot;
      if array_length(v_parts, 1) = 5 then
        v_to := v_parts[3]::pg_snapshot;
        v_xid := v_parts[4]::xid8;
        v_id := v_parts[5]::bigint;
      end if;
    exception
      -- What no cursor of ours looks like: not in base64, not UTF-8, not a snapshot, not a number.
      when data_exception then
        v_from := null;
    end;
    if v_from is null or v_parts[1] is null or coalesce(array_length(v_parts, 1), 0) not in (2, 5) then
      raise exception 'The cursor "%" is none of ours.', left(after, 50) using errcode = 'BP400',
        hint = 'Use latestCursor, or a cursor of an earlier page of changes.';
    end if;
    if v_parts[1] <> v_history
      -- Only a server that was set back can have seen less than it had when it gave out the cursor; a standby may lag behind.
      or (not pg_is_in_recovery() and pg_snapshot_xmax(coalesce(v_to, v_from)) > pg_snapshot_xmax(pg_current_snapshot()))
      or bookpost.pruned_through() >= pg_snapshot_xmin(v_from)
    then
      raise exception 'The cursor has expired: changes after it are no longer kept, or the database was restored or replaced.'
        using errcode = 'BP410', hint = 'Take latestCursor, read everything anew, then go on from that cursor.';
    end if;
  end if;

  v_now := bookpost.present_snapshot(pg_snapshot_xmax(coalesce(v_to, v_from)));
  -- A standby that is behind the cursor has nothing new, and must not set it back.
  if v_to is null and pg_snapshot_xmax(v_now) < pg_snapshot_xmax(v_from) then
    return query select '[]'::jsonb, after, false;
    return;
  end if;
  v_to := coalesce(v_to, v_now);

  select coalesce(array_agg(c order by c.xid, c.id), '{}') into v_rows
  from (
    select c.* from bookpost.changes c
    where c.xid >= greatest(pg_snapshot_xmin(v_from), v_xid) and c.xid < pg_snapshot_xmax(v_to)
      and (c.xid, c.id) > (v_xid, v_id)
      and not pg_visible_in_snapshot(c.xid, v_from)
      and pg_visible_in_snapshot(c.xid, v_to)
    order by c.xid, c.id
    limit first + 1
  ) c;
  v_is_more := coalesce(array_length(v_rows, 1), 0) > first;

  return query
  select coalesce(p.changes, '[]'),
    case
      when not v_is_more then bookpost.encode_cursor(variadic array[v_history, v_to::text])
      -- Nothing was asked for: where it was.
      when first = 0 then coalesce(after, bookpost.encode_cursor(variadic array[v_history, v_from::text]))
      else p.changes -> -1 ->> 'cursor'
    end,
    -- Also what was committed since the first page: whoever was woken for it must not stop here.
    v_is_more or exists (
      select from bookpost.changes c
      where v_to::text <> v_now::text and c.xid >= pg_snapshot_xmin(v_to) and c.xid < pg_snapshot_xmax(v_now)
        and not pg_visible_in_snapshot(c.xid, v_to) and pg_visible_in_snapshot(c.xid, v_now)
    )
  from (
    select jsonb_agg(
      jsonb_build_object(
        'cursor', bookpost.encode_cursor(variadic array[v_history, v_from::text, v_to::text, r.xid::text, r.id::text]),
        'userId', r.user_id, 'kind', r.kind, 'bookId', r.book_id, 'parcelId', r.parcel_id,
        'notificationId', r.notification_id, 'changedAt', r.changed_at
      ) order by r.xid, r.id
    ) as changes
    from unnest(v_rows[1:first]) r
  ) p;
end;
$$;

comment on function bookpost.changes_since(text, integer) is
  'The changes after a cursor that its reader may see, first of them: in one row the changes as a JSON array, the cursor to go on from (there even where nothing is new), and whether there are more. None is left out and none told twice, whatever is committed meanwhile and however late; on a standby a change may wait for the end of an older transaction. Without a cursor: all that is kept. Raises BP400 for what is no cursor and no page size, BP410 for a cursor that cannot be gone on from.';

-- 30 days (chosen): a phone that was away for longer reads everything anew.
create function bookpost_private.prune_changes() returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count integer;
  v_through xid8;
begin
  -- Of a dump of another server: there are no such transactions here yet, and when there are they are not these.
  delete from bookpost.changes c where c.xid >= pg_snapshot_xmax(pg_current_snapshot());
  with gone as (
    delete from bookpost.changes c
    where (c.xid, c.id) in (
      select o.xid, o.id from bookpost.changes o
      where o.changed_at < clock_timestamp() - interval '30 days'
      order by o.xid, o.id
      limit 10000
    )
    returning c.xid
  )
  select count(*), (array_agg(g.xid order by g.xid desc))[1] into v_count, v_through from gone g;
  -- In the same commit: whoever sees the rows gone sees this.
  update bookpost_private.change_horizon h set pruned_through = v_through where h.pruned_through < v_through;
  return v_count;
end;
$$;

comment on function bookpost_private.prune_changes() is
  'Removes changes of more than 30 days ago, 10,000 at most, and those that came with a dump of another server. Returns how many of the former: call it again while it is not 0. Does not commit.';
