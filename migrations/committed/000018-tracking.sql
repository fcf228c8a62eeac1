--! Previous: sha1:b6ba8bbac1e14051292ded3f0ee84108fd206369
--! Hash: sha1:e0af93cdc1241534cfc2beb498edd4eb21fa1b41
--! Message: tracking

-- What an app and people do: track a book, ask for a look now, stop.

create function bookpost_private.default_owner() returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id uuid;
begin
  select u.id into v_id from bookpost.users u where u.app_user_id = 'local';
  if not found then
    -- Only the first time. A second caller waits for the first, and finds its row.
    insert into bookpost.users (app_user_id, name) values ('local', 'Local user') on conflict (app_user_id) do nothing;
    select u.id into strict v_id from bookpost.users u where u.app_user_id = 'local';
  end if;
  return v_id;
end;
$$;

comment on function bookpost_private.default_owner() is
  'Whose book it is when nobody is named: the one person of a bookpost without an app (app_user_id local).';

-- How soon a parcel may be looked up when a person asks for it.
create function bookpost_private.soonest_look(parcel_check bookpost_private.checks) returns timestamptz
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select greatest(
    clock_timestamp(),
    parcel_check.last_looked_at + a.min_check_interval,
    bookpost_private.parcel_may_be_asked_at(a.code, parcel_check.day, parcel_check.day_calls)
  )
  from bookpost.carrier_apis a where a.code = parcel_check.api_code;
end;

comment on function bookpost_private.soonest_look(bookpost_private.checks) is
  'When a parcel may be looked up at the soonest: not before its API''s least distance from the last look, nor with its calls of the day spent. Null where it has no API.';

-- One parcel for all who track a number; its check is locked. The loop ends: each round either inserts, or locks the live
-- one, or finds that it was closed in between.
create function bookpost_private.live_parcel(carrier bookpost.carriers, tracking_number text) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_id uuid;
begin
  loop
    insert into bookpost.parcels (carrier_code, tracking_number)
    values (carrier.code, live_parcel.tracking_number)
    -- A second caller waits for the first and then joins its parcel.
    on conflict (carrier_code, tracking_number) where closed_at is null do nothing
    returning id into v_id;
    if found then
      insert into bookpost_private.checks (parcel_id, api_code, next_check_at, pause_reason, head_start, last_looked_at, day, day_calls)
      select v_id, carrier.api_code,
        case when carrier.api_code is not null then coalesce(bookpost_private.soonest_look(f.former_check), clock_timestamp()) end,
        case when carrier.api_code is null then 'no_api' end,
        h.head_start, (f.former_check).last_looked_at, coalesce((f.former_check).day, '-infinity'), coalesce((f.former_check).day_calls, 0)
      from bookpost_private.head_starts h
      -- To the carrier it is the number that was asked about: stopped and tracked again it is not asked about more often.
      left join lateral (
        select c as former_check
        from bookpost.parcels p
        join bookpost_private.checks c on c.parcel_id = p.id and c.api_code = carrier.api_code
        where p.tracking_number = live_parcel.tracking_number and p.carrier_code = carrier.code and p.closed_at is not null
        order by c.last_looked_at desc nulls last
        limit 1
      ) f on true
      where h.reason = 'asked_for';
      return v_id;
    end if;
    -- `stuck` lists a live parcel without its check; whoever tracks it mends it.
    insert into bookpost_private.checks (parcel_id, api_code, next_check_at, pause_reason)
    select p.id, carrier.api_code,
      case when carrier.api_code is not null then clock_timestamp() end,
      case when carrier.api_code is null then 'no_api' end
    from bookpost.parcels p
    where p.carrier_code = carrier.code and p.tracking_number = live_parcel.tracking_number and p.closed_at is null
      and not exists (select from bookpost_private.checks c where c.parcel_id = p.id)
    -- Mended by another this moment.
    on conflict (parcel_id) do nothing;
    select c.parcel_id into v_id
    from bookpost_private.checks c
    join bookpost.parcels p on p.id = c.parcel_id
    where p.carrier_code = carrier.code and p.tracking_number = live_parcel.tracking_number and p.closed_at is null
    -- Waits for whoever may be closing it.
    for no key update of c;
    if found and exists (select from bookpost.parcels p where p.id = v_id and p.closed_at is null) then
      return v_id;
    end if;
  end loop;
end;
$$;

comment on function bookpost_private.live_parcel(bookpost.carriers, text) is
  'The live parcel of a carrier''s number, made where there is none. Holds the lock on its check.';

create function bookpost_private.accepted_number(tracking_number text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_number text := bookpost.normalize_tracking_number(accepted_number.tracking_number);
begin
  if v_number is null or v_number collate "C" !~ '^[A-Z0-9]{4,40}$' then
    raise exception 'A tracking number has 4 to 40 letters and digits; "%" has not.', left(coalesce(accepted_number.tracking_number, ''), 60)
      using errcode = 'BP400';
  end if;
  return v_number;
end;
$$;

comment on function bookpost_private.accepted_number(text) is
  'The number in the form in which it is stored. Raises BP400 for what can be none.';

create function bookpost_private.known_carrier(carrier text) returns bookpost.carriers
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_carrier bookpost.carriers;
begin
  select c.* into v_carrier from bookpost.carriers c where c.code = known_carrier.carrier;
  if not found then
    raise exception 'There is no carrier "%". Say which one: it is never guessed from the number.', left(coalesce(known_carrier.carrier, ''), 60)
      using errcode = 'BP400', hint = (select 'Known carriers: ' || string_agg(c.code, ', ' order by c.code) from bookpost.carriers c);
  end if;
  return v_carrier;
end;
$$;

comment on function bookpost_private.known_carrier(text) is 'The carrier of a code. Raises BP400 where there is none.';

-- A stranger may join any parcel whose number she knows. What she says of it must not change what the others are told.
create function bookpost_private.is_shared(parcel_id uuid, owner uuid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select exists (
    select from bookpost.parcel_books pb
    where pb.parcel_id = is_shared.parcel_id and pb.owner_id <> is_shared.owner and pb.stopped_at is null
  );
end;

comment on function bookpost_private.is_shared(uuid, uuid) is
  'Whether others than this owner wait for the parcel. Stays true or false while the lock on its check is held, but for others'' ends.';

create function bookpost_private.say_sent_on(parcel_id uuid, sent_on date, owner uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Which scans count follows from it, and the carrier is asked again for the rest: who signed, where it is due.
  update bookpost.parcels p set sent_on = say_sent_on.sent_on
  where p.id = say_sent_on.parcel_id and p.sent_on is distinct from say_sent_on.sent_on
    and (bookpost_private.may_act_for_all() or not bookpost_private.is_shared(say_sent_on.parcel_id, say_sent_on.owner));
  if found then
    update bookpost_private.checks c set
      digest = null,
      next_check_at = case when c.next_check_at is not null then least(c.next_check_at, bookpost_private.soonest_look(c)) end
    where c.parcel_id = say_sent_on.parcel_id;
    if exists (select from bookpost.tracking_events e where e.parcel_id = say_sent_on.parcel_id) then
      perform bookpost_private.refold_parcel(say_sent_on.parcel_id);
    end if;
  end if;
end;
$$;

comment on function bookpost_private.say_sent_on(uuid, date, uuid) is
  'The day on which a parcel was posted, for all who wait for it; said anew, the newest word counts. What one owner says of a parcel that others wait for too counts for nothing, and nobody is told so.';

-- All columns but the generated ones, whichever there are: what is added to a table later is copied as well.
create function bookpost_private.copy_rows(of_table regclass, key_column text, key uuid, changes jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_columns text[] := array(
    select a.attname from pg_attribute a
    where a.attrelid = copy_rows.of_table and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    order by a.attnum
  );
begin
  execute format(
    'insert into %1$s (%2$s) select %3$s from %1$s t cross join lateral jsonb_populate_record(t, $2) n where t.%4$I = $1',
    copy_rows.of_table,
    (select string_agg(format('%I', c), ', ') from unnest(v_columns) c),
    (select string_agg(format('n.%I', c), ', ') from unnest(v_columns) c),
    copy_rows.key_column
  ) using copy_rows.key, copy_rows.changes;
end;
$$;

comment on function bookpost_private.copy_rows(regclass, text, uuid, jsonb) is
  'Copies the rows of a table whose key_column is key, with these columns changed. Does not commit.';

-- Of a parcel that others wait for too, a member gets one of her own, and says of that what she likes: her word, and her text,
-- must not reach the others. It is closed from the start, since only one live parcel may have a number; refresh_book takes her
-- back to the common one. The lock on the parcel's check is held already.
create function bookpost_private.part_from_others(parcel_id uuid, owner uuid, closed_reason text) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id uuid := gen_random_uuid();
  v_now timestamptz := clock_timestamp();
begin
  perform bookpost_private.copy_rows('bookpost.parcels', 'id', part_from_others.parcel_id, jsonb_build_object(
    'id', v_id, 'closed_at', v_now, 'closed_reason', part_from_others.closed_reason,
    -- After the common one, so that where parcels are listed newest first it comes first.
    'created_at', (select p.created_at + interval '1 microsecond' from bookpost.parcels p where p.id = part_from_others.parcel_id)
  ));
  perform bookpost_private.copy_rows('bookpost_private.checks', 'parcel_id', part_from_others.parcel_id, jsonb_build_object(
    'parcel_id', v_id, 'next_check_at', null, 'pause_reason', 'closed'
  ));
  perform bookpost_private.copy_rows('bookpost.tracking_events', 'parcel_id', part_from_others.parcel_id, jsonb_build_object('parcel_id', v_id));
  with parted as (
    update bookpost.parcel_books pb set stopped_at = v_now
    where pb.parcel_id = part_from_others.parcel_id and pb.owner_id = part_from_others.owner and pb.stopped_at is null
    returning pb.*
  )
  insert into bookpost.parcel_books (book_id, parcel_id, owner_id, started_at, first_synced_at, tracking_url)
  select p.book_id, v_id, p.owner_id, v_now, p.first_synced_at, p.tracking_url from parted p;
  return v_id;
end;
$$;

comment on function bookpost_private.part_from_others(uuid, uuid, text) is
  'A closed copy of a parcel with its scans, for this owner''s books in it, which leave the common one. Returns its id.';

-- The same, whoever comes first: what a member said while she alone had the parcel is not told to one who joins it later. It
-- leaves with her; a member who no longer waits for it has only her scan to lose. The lock on the parcel's check is held already.
create function bookpost_private.part_from_newcomer(parcel_id uuid, newcomer uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sayers uuid[] := array(
    select distinct substring(e.identity from '^by_hand:([0-9a-f-]{36}):')::uuid
    from bookpost.tracking_events e
    where e.parcel_id = part_from_newcomer.parcel_id and e.raw_code = 'by_hand'
      and substring(e.identity from '^by_hand:([0-9a-f-]{36}):') <> part_from_newcomer.newcomer::text
  );
  v_owner uuid;
begin
  if v_sayers = '{}' then
    return;
  end if;
  for v_owner in
    select distinct pb.owner_id from bookpost.parcel_books pb
    where pb.parcel_id = part_from_newcomer.parcel_id and pb.owner_id = any (v_sayers) and pb.stopped_at is null
  loop
    perform bookpost_private.part_from_others(part_from_newcomer.parcel_id, v_owner, 'stopped');
  end loop;
  delete from bookpost.tracking_events e
  where e.parcel_id = part_from_newcomer.parcel_id and e.raw_code = 'by_hand'
    and substring(e.identity from '^by_hand:([0-9a-f-]{36}):')::uuid = any (v_sayers);
  -- Her word for the stage goes with her scan; what the carrier has said of it beside its scans, its next answer says again.
  update bookpost.parcels p set
    status = 'pending', status_version = p.status_version + 1, status_changed_at = clock_timestamp(), reason_code = null,
    is_action_required = false, delivered_at = null, delivered_local_time = null, delivered_time_zone = null
  where p.id = part_from_newcomer.parcel_id;
  update bookpost_private.checks c set digest = null where c.parcel_id = part_from_newcomer.parcel_id;
  if exists (select from bookpost.tracking_events e where e.parcel_id = part_from_newcomer.parcel_id) then
    perform bookpost_private.refold_parcel(part_from_newcomer.parcel_id);
  end if;
end;
$$;

comment on function bookpost_private.part_from_newcomer(uuid, uuid) is
  'Before this owner joins a parcel: takes out of it what members said of it by hand, and those members with it, each to a closed copy of her own. An operator''s word stays: it is for all. Does not commit.';

-- The lock on the parcel's check is held already; then the book, so that of two moves at once the later one counts.
create function bookpost_private.put_in_parcel(book bookpost.books, parcel_id uuid, tracking_url text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform bookpost_private.part_from_newcomer(put_in_parcel.parcel_id, book.owner_id);
  perform 1 from bookpost.books b where b.id = book.id for no key update;
  insert into bookpost.parcel_books as pb (book_id, parcel_id, owner_id, tracking_url)
  values (book.id, put_in_parcel.parcel_id, book.owner_id, put_in_parcel.tracking_url)
  -- Asked again: live again, and with the newest link.
  on conflict on constraint parcel_books_pkey do update
    set stopped_at = null,
      -- Who begins again is told the present stage by the next answer, unless she was told it before.
      first_synced_at = case when pb.stopped_at is null then pb.first_synced_at end,
      tracking_url = coalesce(excluded.tracking_url, pb.tracking_url);

  -- A book travels in one parcel: with another number the former one was a mistake, or has done its work. Where nobody else
  -- waits for it the next sweep closes it: closing it here would wait for its check while holding the book, the wrong way round.
  update bookpost.parcel_books pb set stopped_at = clock_timestamp()
  where pb.book_id = book.id and pb.parcel_id <> put_in_parcel.parcel_id and pb.stopped_at is null;
end;
$$;

comment on function bookpost_private.put_in_parcel(bookpost.books, uuid, text) is
  'The book travels in this parcel from now on, and in no other. A second caller waits for the first, and moves it on.';

create function bookpost.track_book(
  title text,
  carrier text,
  tracking_number text,
  author text default null,
  owner uuid default null,
  declared_value numeric default null,
  declared_currency text default null,
  app_book_id text default null,
  tracking_url text default null,
  sent_on date default null
) returns bookpost.books
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_number text;
  v_carrier bookpost.carriers;
  v_owner uuid;
  v_parcel_id uuid;
  v_book bookpost.books;
begin
  if coalesce(track_book.title, '') !~ '[^[:space:]]' then
    raise exception 'A book needs a title.' using errcode = 'BP400';
  end if;
  v_carrier := bookpost_private.known_carrier(track_book.carrier);
  v_number := bookpost_private.accepted_number(track_book.tracking_number);
  -- A day ahead: it is tomorrow somewhere.
  if track_book.sent_on not between date '1970-01-01' and (clock_timestamp() at time zone 'UTC')::date + 1 then
    raise exception 'Nothing can have been posted on %.', track_book.sent_on
      using errcode = 'BP400', hint = 'Leave the day out if it is not known or still to come.';
  end if;
  if track_book.owner is null and bookpost.current_user_id() is null and bookpost_private.may_act_for_all() then
    v_owner := bookpost_private.default_owner();
  else
    v_owner := (bookpost_private.own_user(track_book.owner)).id;
  end if;

  v_parcel_id := bookpost_private.live_parcel(v_carrier, v_number);
  if track_book.sent_on is not null then
    perform bookpost_private.say_sent_on(v_parcel_id, track_book.sent_on, v_owner);
  end if;

  -- Asked twice, the same book: by the app's id, or else by title in the same parcel.
  if track_book.app_book_id is not null then
    insert into bookpost.books as b (owner_id, title, author, declared_value, declared_currency, app_book_id)
    values (v_owner, track_book.title, track_book.author, track_book.declared_value, track_book.declared_currency, track_book.app_book_id)
    on conflict on constraint books_app_book_id_is_unique_per_owner do update
      set title = excluded.title,
        author = coalesce(excluded.author, b.author),
        declared_value = coalesce(excluded.declared_value, b.declared_value),
        declared_currency = coalesce(excluded.declared_currency, b.declared_currency)
    returning * into v_book;
  else
    select b.* into v_book
    from bookpost.books b
    join bookpost.parcel_books pb on pb.book_id = b.id and pb.parcel_id = v_parcel_id and pb.stopped_at is null
    where b.owner_id = v_owner and b.title = track_book.title and b.app_book_id is null
    limit 1;
    if not found then
      insert into bookpost.books (owner_id, title, author, declared_value, declared_currency)
      values (v_owner, track_book.title, track_book.author, track_book.declared_value, track_book.declared_currency)
      returning * into v_book;
    end if;
  end if;

  perform bookpost_private.put_in_parcel(v_book, v_parcel_id, track_book.tracking_url);
  perform bookpost_private.wake_dispatch();
  return v_book;
end;
$$;

comment on function bookpost.track_book(text, text, text, text, uuid, numeric, text, text, text, date) is
  'Starts tracking a book: carrier by its code, number as people write it, owner by user id (left out: who is signed in, else the local user). sent_on: the day it was posted; needed only where that is more than two weeks ago, because carriers use numbers again and older scans are taken for another parcel''s; a member''s word on a parcel that others wait for too is not taken. Asked again, also by two at once, it returns the same book; with its app_book_id and another number it moves the book to that parcel. Raises BP400 for what makes no sense, BP404 for an unknown owner; to a member every other is unknown.';

-- The parcel a book is in now: the live one, else the latest.
create function bookpost_private.current_parcel(book uuid) returns uuid
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select pb.parcel_id
  from bookpost.parcel_books pb
  join bookpost.parcels p on p.id = pb.parcel_id
  where pb.book_id = current_parcel.book
  order by (pb.stopped_at is null and p.closed_at is null) desc, pb.started_at desc, pb.parcel_id
  limit 1;
end;

create function bookpost.correct_tracking_number(book uuid, tracking_number text, carrier text default null) returns bookpost.books
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_book bookpost.books := bookpost_private.own_book(correct_tracking_number.book);
  v_number text := bookpost_private.accepted_number(correct_tracking_number.tracking_number);
  v_former bookpost.parcels;
  v_carrier bookpost.carriers;
  v_parcel_id uuid;
begin
  select p.* into v_former from bookpost.parcels p where p.id = bookpost_private.current_parcel(v_book.id);
  if not found then
    raise exception 'The book "%" is in no parcel.', v_book.title using errcode = 'BP400', hint = 'Track it first.';
  end if;
  v_carrier := bookpost_private.known_carrier(coalesce(correct_tracking_number.carrier, v_former.carrier_code));
  if v_carrier.code = v_former.carrier_code and v_number = v_former.tracking_number then
    return v_book;
  end if;
  v_parcel_id := bookpost_private.live_parcel(v_carrier, v_number);
  -- The day it was posted is the book's own; the link led to the former number, and stays with it.
  if v_former.sent_on is not null and (select p.sent_on is null from bookpost.parcels p where p.id = v_parcel_id) then
    perform bookpost_private.say_sent_on(v_parcel_id, v_former.sent_on, v_book.owner_id);
  end if;
  perform bookpost_private.put_in_parcel(v_book, v_parcel_id, null);
  perform bookpost_private.wake_dispatch();
  return v_book;
end;
$$;

comment on function bookpost.correct_tracking_number(uuid, text, text) is
  'The book travels under another number, with another carrier where one is named: it moves to that parcel, and the former one is closed by the next sweep where nobody else waits for it. What it was told of the former stays; the owner''s own link does not, since it led to the former number. The same number again changes nothing. A second caller waits for the first, and its number counts. Raises BP404 for an unknown book, BP400 for what can be no number, an unknown carrier, a book in no parcel.';

create function bookpost.refresh_book(book uuid) returns bookpost.books
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_book bookpost.books := bookpost_private.own_book(refresh_book.book);
  v_is_for_all boolean := bookpost_private.may_act_for_all();
  v_parcel_id uuid := bookpost_private.current_parcel(refresh_book.book);
  v_check bookpost_private.checks;
  v_parcel bookpost.parcels;
begin
  -- A member is not told that the number has passed to a newer parcel, which may be another's: her book joins it, as it would
  -- by track_book.
  if not v_is_for_all then
    select p.* into v_parcel from bookpost.parcels p
    where p.id = v_parcel_id and p.closed_at is not null and exists (
      select from bookpost.parcels n
      where n.carrier_code = p.carrier_code and n.tracking_number = p.tracking_number and n.closed_at is null
    );
    if found then
      v_parcel_id := bookpost_private.live_parcel(bookpost_private.known_carrier(v_parcel.carrier_code), v_parcel.tracking_number);
      perform bookpost_private.put_in_parcel(v_book, v_parcel_id, null);
    end if;
  end if;
  -- Waits for a lookup that is being recorded; what we set then stands.
  select c.* into v_check from bookpost_private.checks c where c.parcel_id = v_parcel_id for no key update;
  if not found then
    raise exception 'The book "%" is in no parcel.', v_book.title using errcode = 'BP400', hint = 'Track it first.';
  end if;
  select p.* into strict v_parcel from bookpost.parcels p where p.id = v_parcel_id;
  if v_check.api_code is null then
    raise exception 'Nobody can be asked about parcels of carrier "%": their status is set by people.', v_parcel.carrier_code
      using errcode = 'BP400';
  end if;
  -- It has killed workers, or failed them: who has a look first is one of ours.
  if v_check.pause_reason = 'quarantined' and not v_is_for_all then
    raise exception 'The parcel of "%" was set aside for a mistake of ours.', v_book.title
      using errcode = 'BP409', hint = 'Ask whoever runs this bookpost to look at it.';
  end if;

  if v_parcel.closed_at is not null then
    begin
      update bookpost.parcels p set closed_at = null, closed_reason = null where p.id = v_parcel_id;
    exception when unique_violation then
      -- This moment: asked again, a member's book joins it.
      if not v_is_for_all then
        raise exception 'The parcel is being tracked anew.' using errcode = '40001';
      end if;
      raise exception 'The number % is now that of a newer parcel; this one stays closed.', v_parcel.tracking_number
        using errcode = 'BP409';
    end;
  end if;
  update bookpost.parcel_books pb set stopped_at = null, first_synced_at = null
  where pb.parcel_id = v_parcel_id and pb.book_id = refresh_book.book and pb.stopped_at is not null;

  -- A job that failed for good would only set it aside again.
  perform graphile_worker.remove_job(j.key)
  from graphile_worker.jobs j
  where j.key = 'parcel:' || v_parcel_id and j.attempts >= j.max_attempts and j.locked_at is null;

  update bookpost_private.checks c
  set next_check_at = least(c.next_check_at, bookpost_private.soonest_look(c)),
      head_start = (select h.head_start from bookpost_private.head_starts h where h.reason = 'asked_for'),
      pause_reason = null,
      -- A person has looked: it starts afresh.
      crash_count = 0
  where c.parcel_id = v_parcel_id;

  perform bookpost_private.wake_dispatch();
  return v_book;
end;
$$;

comment on function bookpost.refresh_book(uuid) is
  'Asks for a look now, within the carrier''s limits (min_check_interval, calls_per_parcel_per_day), and opens a closed or set-aside parcel again. A second caller waits for the first, and gets the same look. Raises BP404 for an unknown book, BP400 when nobody can be asked, BP409 when the number has passed to a newer parcel; a member''s book joins that one, and a set-aside parcel stays so for her (BP409).';

create function bookpost.stop_tracking(book uuid) returns bookpost.books
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_book bookpost.books := bookpost_private.own_book(stop_tracking.book);
begin
  -- The checks of its parcels first: the one lock order.
  perform 1 from bookpost_private.checks c
  where c.parcel_id in (select pb.parcel_id from bookpost.parcel_books pb where pb.book_id = stop_tracking.book)
  order by c.parcel_id
  for no key update;
  update bookpost.parcel_books pb set stopped_at = clock_timestamp() where pb.book_id = stop_tracking.book and pb.stopped_at is null;
  perform bookpost_private.close_forsaken_parcels(
    array(select pb.parcel_id from bookpost.parcel_books pb where pb.book_id = stop_tracking.book)
  );
  return v_book;
end;
$$;

comment on function bookpost.stop_tracking(uuid) is
  'Ends the tracking of a book for its owner; the parcel goes on while another book in it is tracked. Stopped twice, also by two at once, it is stopped once. Raises BP404 for an unknown book.';

create function bookpost.mark_book(book uuid, status text, reason text) returns bookpost.books
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_book bookpost.books := bookpost_private.own_book(mark_book.book);
  -- Lost has no stage of its own: something is wrong, and what it is, is said beside it.
  v_status text := case mark_book.status when 'lost' then 'exception' else mark_book.status end;
  v_is_for_all boolean := bookpost_private.may_act_for_all();
  v_parcel_id uuid;
  v_parcel bookpost.parcels;
  v_now timestamptz := clock_timestamp();
begin
  if coalesce(v_status, '') not in (select s.status from bookpost.parcel_statuses s where s.status not in ('pending', 'unknown')) then
    raise exception 'A book can''t be marked "%".', left(coalesce(mark_book.status, ''), 60) using errcode = 'BP400', hint = (
      select 'Known: ' || string_agg(s.status, ', ' order by s.position) || ', lost'
      from bookpost.parcel_statuses s where s.status not in ('pending', 'unknown')
    );
  end if;
  if coalesce(mark_book.reason, '') !~ '[^[:space:]]' or length(mark_book.reason) > 500 then
    raise exception 'Who marks a book says why, in at most 500 characters.' using errcode = 'BP400';
  end if;
  v_parcel_id := bookpost_private.current_parcel(mark_book.book);
  -- Waits for a lookup that is being recorded; what is marked is newer.
  perform 1 from bookpost_private.checks c where c.parcel_id = v_parcel_id for no key update;
  select p.* into v_parcel from bookpost.parcels p where p.id = v_parcel_id;
  if not found then
    raise exception 'The book "%" is in no parcel.', v_book.title using errcode = 'BP400', hint = 'Track it first.';
  end if;
  if v_parcel.closed_at is not null then
    raise exception 'The book "%" is no longer tracked.', v_book.title using errcode = 'BP400', hint = 'Refresh it or track it again first.';
  end if;
  -- Others who have stopped still see it.
  if not v_is_for_all
    and exists (select from bookpost.parcel_books pb where pb.parcel_id = v_parcel_id and pb.owner_id <> v_book.owner_id)
  then
    v_parcel_id := bookpost_private.part_from_others(
      v_parcel_id, v_book.owner_id,
      case v_status when 'delivered' then 'delivered' when 'return_to_sender' then 'returned' when 'cancelled' then 'cancelled' else 'stopped' end
    );
  end if;

  -- A scan like any other, so that the status stays a function of the scans: a newer one of the carrier's goes before it.
  insert into bookpost.tracking_events
    (parcel_id, identity, occurred_at, local_time, time_zone, raw_time, status, raw_code, description, reason_code, sort_at, sort_rank)
  values (
    v_parcel_id,
    -- Names who said it, where it is a member's word: part_from_newcomer asks for that.
    'by_hand:' || case when v_is_for_all then '' else v_book.owner_id || ':' end || gen_random_uuid(),
    v_now, v_now at time zone 'UTC', 'UTC', v_now::text, v_status, 'by_hand',
    mark_book.reason, case mark_book.status when 'lost' then 'lost' end, v_now, 0
  );
  perform bookpost_private.refold_parcel(v_parcel_id);
  return v_book;
end;
$$;

comment on function bookpost.mark_book(uuid, text, text) is
  'A person says where a book is: for parcels of carriers that nobody can be asked about, or when the carrier is wrong. status: a stage, or lost, which is the stage exception with the reason code lost. Kept as a scan (raw code by_hand) with the reason; owners are told as of any other. A member speaks for herself: where others see the parcel too, or join it later, her books in it get a closed copy of it, and the others learn nothing. Said twice it is two scans. Raises BP404 for an unknown book, BP400 for what makes no sense.';

-- Whom we ask may change while parcels are under way (an aggregator instead of the carrier): their checks follow.
create function bookpost_private.tg_carriers__move_checks() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform 1 from bookpost_private.checks c
  where c.parcel_id in (select p.id from bookpost.parcels p where p.carrier_code = NEW.code and p.closed_at is null)
  order by c.parcel_id
  for no key update;
  update bookpost_private.checks c set
    api_code = NEW.api_code,
    -- The former API's calls are not this one's.
    day = '-infinity',
    day_calls = 0,
    next_check_at = case when NEW.api_code is not null and c.pause_reason is distinct from 'quarantined' then clock_timestamp() end,
    pause_reason = case when NEW.api_code is null then 'no_api' when c.pause_reason = 'quarantined' then 'quarantined' end
  where c.parcel_id in (select p.id from bookpost.parcels p where p.carrier_code = NEW.code and p.closed_at is null);
  return null;
end;
$$;

create trigger _500_move_checks after update of api_code on bookpost.carriers
  for each row when (OLD.api_code is distinct from NEW.api_code) execute function bookpost_private.tg_carriers__move_checks();

-- A parcel that nobody waits for any more is closed, whichever way the last relation ended: noted here, closed by the next
-- sweep. Closing it here would wait for its check while holding the book, the wrong way round.
create function bookpost_private.tg_parcel_books__note_forsaken() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Whether it was the last one is not asked here: two that end at once would each still see the other.
  if TG_OP = 'DELETE' or NEW.stopped_at is not null then
    insert into bookpost_private.forsaken_parcels (parcel_id) values (OLD.parcel_id);
  end if;
  return null;
end;
$$;

create trigger _500_note_forsaken after delete or update of stopped_at on bookpost.parcel_books
  for each row execute function bookpost_private.tg_parcel_books__note_forsaken();

-- What people see of a book and a parcel beyond their rows.

-- The rule is current_parcel's. Without a search_path of its own, so that it becomes part of the query that asks for many
-- books; its body was read when it was made, and needs none.
create function bookpost.books_current_parcel(book bookpost.books) returns setof bookpost.parcels
language sql stable rows 1
begin atomic
  select p.*
  from bookpost.parcel_books pb
  join bookpost.parcels p on p.id = pb.parcel_id
  where pb.book_id = book.id
  order by (pb.stopped_at is null and p.closed_at is null) desc, pb.started_at desc, pb.parcel_id
  limit 1;
end;
comment on function bookpost.books_current_parcel(bookpost.books) is
  'The parcel it is in now: the live one, else the latest; null: none yet.';

create function bookpost.parcels_is_overdue(parcel bookpost.parcels) returns boolean
language sql stable
return coalesce(parcel.overdue_at <= now(), false);
comment on function bookpost.parcels_is_overdue(bookpost.parcels) is
  'Whether it is on its way still though its latest expected delivery has passed: overdueAt has come. It comes by the clock, so no change tells of it.';

-- From here on each is asked once for every row of a page, and finds its row by a key: one plan serves all. Without saying
-- so, the API's force_custom_plan has Postgres 18 plan them anew at each call. Measured for a page of 20 books: 6.7 ms
-- before, 2.7 ms so.

create function bookpost.parcels_tracking_page(parcel bookpost.parcels) returns text
language sql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
begin atomic
  -- A number is letters and digits only (parcels_tracking_number_is_normalised): it needs no encoding.
  select coalesce(
    parcel.tracking_url,
    -- With the reader's own rights: only a link that she gave herself.
    (
      select pb.tracking_url from bookpost.parcel_books pb
      where pb.parcel_id = parcel.id and pb.tracking_url is not null
      order by pb.started_at desc, pb.book_id limit 1
    ),
    replace(c.tracking_page, '{number}', parcel.tracking_number)
  )
  from bookpost.carriers c where c.code = parcel.carrier_code;
end;
comment on function bookpost.parcels_tracking_page(bookpost.parcels) is
  'The public page of this parcel: the one its carrier named, else the owner''s own link, else the carrier''s usual page.';

create function bookpost.parcels_last_looked_at(parcel bookpost.parcels) returns timestamptz
language sql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
begin atomic
  select c.last_looked_at from bookpost_private.checks c where c.parcel_id = parcel.id;
end;
comment on function bookpost.parcels_last_looked_at(bookpost.parcels) is 'When the carrier was last asked.';

create function bookpost.parcels_next_look_at(parcel bookpost.parcels) returns timestamptz
language sql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
begin atomic
  select c.next_check_at from bookpost_private.checks c where c.parcel_id = parcel.id;
end;
comment on function bookpost.parcels_next_look_at(bookpost.parcels) is 'When the carrier is asked next; null: not at all.';

create function bookpost.parcels_did_last_look_work(parcel bookpost.parcels) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
begin atomic
  select o.circuit_effect = 'success'
  from bookpost_private.checks c join bookpost_private.lookup_outcomes o on o.outcome = c.last_outcome
  where c.parcel_id = parcel.id;
end;
comment on function bookpost.parcels_did_last_look_work(bookpost.parcels) is
  'Whether the carrier answered when it was last asked; null: not asked yet.';

create function bookpost.tracking_events_is_of_earlier_life(event bookpost.tracking_events) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
begin atomic
  select bookpost_private.is_of_earlier_life(event.occurred_at, event.local_time, event.is_date_only, p.sent_on, p.created_at)
  from bookpost.parcels p where p.id = event.parcel_id;
end;
comment on function bookpost.tracking_events_is_of_earlier_life(bookpost.tracking_events) is
  'Whether this scan is of an earlier parcel with the same number: then it changed no status and nobody was told. Where it is of this one, say when the parcel was sent (track_book, sent_on).';
