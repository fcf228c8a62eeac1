--! Previous: sha1:b3462985d92f579afd91c42c6cec7f4b00e5b317
--! Hash: sha1:077a4c63b4f0fcefb82cbd7ad0f0f5ba18838640
--! Message: sharing

-- A link to one parcel, for somebody who is nobody here: a buyer, a friend, the desk in the lobby.

create table bookpost.tracking_links (
  id uuid primary key default gen_random_uuid(),
  book_id uuid not null,
  parcel_id uuid not null,
  owner_id uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  -- The relation, not the book: a later parcel of the book is not shown by an older link.
  constraint tracking_links_show_a_parcel_of_the_book foreign key (book_id, parcel_id)
    references bookpost.parcel_books (book_id, parcel_id) on delete cascade,
  constraint tracking_links_belong_to_the_books_owner foreign key (book_id, owner_id)
    references bookpost.books (id, owner_id) on update cascade on delete cascade,
  -- A year (8784 hours, a leap year's); chosen: no parcel is longer under way, and a link that is forgotten ends.
  constraint tracking_links_expire_within_a_year check (expires_at > created_at and expires_at <= created_at + interval '8784 hours')
);

comment on table bookpost.tracking_links is
  'Public pages of parcels: who has a link''s token sees where that one parcel is, and nothing else. The token itself is shown once, when the link is made, and kept nowhere.';
comment on column bookpost.tracking_links.book_id is 'The book that was shared; the page does not name it.';
comment on column bookpost.tracking_links.parcel_id is 'The parcel that the page shows.';
comment on column bookpost.tracking_links.owner_id is 'Whose book it is. With a new owner the link is hers: she sees it, and can end it.';
comment on column bookpost.tracking_links.created_at is 'When it was made.';
comment on column bookpost.tracking_links.expires_at is 'Until when it works; a year at most.';
comment on column bookpost.tracking_links.revoked_at is 'Since when it no longer works, because somebody ended it; null: nobody has.';

-- A book's links, newest first; and how many of them work.
create index tracking_links_book_id_created_at_idx on bookpost.tracking_links (book_id, created_at desc, id);

-- Only a hash: who reads this table, or a copy of it, can open no page. A link that was revoked has no row here.
create table bookpost_private.tracking_link_tokens (
  link_id uuid primary key references bookpost.tracking_links on delete cascade,
  token_hash bytea not null,
  constraint tracking_link_tokens_are_unique unique (token_hash),
  constraint tracking_link_tokens_are_sha256 check (length(token_hash) = 32)
);

select bookpost_private.protect_table('bookpost.tracking_links');
select bookpost_private.protect_table('bookpost_private.tracking_link_tokens');

grant select on bookpost.tracking_links to bookpost_member, bookpost_operator;
create policy member_sees_her_own on bookpost.tracking_links for select to bookpost_member
  using (owner_id = (select bookpost.current_user_id()));
create policy operator_sees_all on bookpost.tracking_links for select to bookpost_operator using (true);

create function bookpost.share_parcel(book uuid, expires_in interval default '30 days')
returns table (link_id uuid, token text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_book bookpost.books;
  v_parcel_id uuid;
begin
  -- Asked before the row is locked: whose book it is not learns nothing by waiting, and keeps nobody waiting.
  if bookpost_private.may_act_for((select b.owner_id from bookpost.books b where b.id = share_parcel.book)) then
    -- A second caller waits here, and counts the first one's link.
    select b.* into v_book from bookpost.books b where b.id = share_parcel.book for no key update;
  end if;
  if v_book.id is null or not bookpost_private.may_act_for(v_book.owner_id) then
    raise exception 'There is no book %.', share_parcel.book using errcode = 'BP404';
  end if;
  if share_parcel.expires_in is null or v_now + share_parcel.expires_in <= v_now
    or v_now + share_parcel.expires_in > v_now + interval '8784 hours'
  then
    raise exception 'A tracking link works for a year at most, not for %.', coalesce(share_parcel.expires_in::text, 'null') using errcode = 'BP400';
  end if;
  v_parcel_id := bookpost_private.current_parcel(v_book.id);
  if v_parcel_id is null then
    raise exception 'The book "%" is in no parcel.', v_book.title using errcode = 'BP400', hint = 'Track it first.';
  end if;
  -- 30 days (chosen): long enough to see in the list that a link has ended.
  delete from bookpost.tracking_links l
  where l.book_id = v_book.id and coalesce(l.revoked_at, l.expires_at) < v_now - interval '30 days';
  -- 20 (chosen): more people than care for one parcel. Who loses count of her links cannot end them.
  if (
    select count(*) >= 20 from bookpost.tracking_links l
    where l.book_id = v_book.id and l.revoked_at is null and l.expires_at > v_now
  ) then
    raise exception 'The book "%" has 20 tracking links that work.', v_book.title using errcode = 'BP409', hint = 'Revoke one first.';
  end if;
  insert into bookpost.tracking_links (book_id, parcel_id, owner_id, created_at, expires_at)
  values (v_book.id, v_parcel_id, v_book.owner_id, v_now, v_now + share_parcel.expires_in)
  returning id into link_id;
  -- 256 bits from Postgres' strong source, in the letters of an address.
  token := translate(
    encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), '+/=', '-_'
  );
  insert into bookpost_private.tracking_link_tokens (link_id, token_hash)
  values (share_parcel.link_id, sha256(convert_to(share_parcel.token, 'UTF8')));
  return next;
end;
$$;

comment on function bookpost.share_parcel(uuid, interval) is
  'Makes a public link to the parcel that a book is in now. Returns its id and the token that opens it: shown this once. Raises BP404 for an unknown book or another owner''s, BP400 for a book in no parcel and for more than a year, BP409 where 20 links of the book work.';

create function bookpost.revoke_tracking_link(link uuid) returns bookpost.tracking_links
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link bookpost.tracking_links;
begin
  if bookpost_private.may_act_for((select l.owner_id from bookpost.tracking_links l where l.id = revoke_tracking_link.link)) then
    -- Whose it is cannot change between this and the next statement.
    select l.* into v_link from bookpost.tracking_links l where l.id = revoke_tracking_link.link for no key update;
  end if;
  if v_link.id is null or not bookpost_private.may_act_for(v_link.owner_id) then
    raise exception 'There is no tracking link %.', revoke_tracking_link.link using errcode = 'BP404';
  end if;
  -- Without its hash nothing can find it again, whatever is wrong elsewhere.
  delete from bookpost_private.tracking_link_tokens t where t.link_id = v_link.id;
  update bookpost.tracking_links l set revoked_at = coalesce(l.revoked_at, clock_timestamp()) where l.id = v_link.id returning l.* into v_link;
  return v_link;
end;
$$;

comment on function bookpost.revoke_tracking_link(uuid) is
  'Ends a public link at once and for good. Said again it changes nothing. Raises BP404 for an unknown link or another owner''s.';

-- A token is looked up by its hash and compared with nothing, so the time it takes says nothing of how near a guess was.
create function bookpost.shared_parcel(token text)
returns table (
  carrier_name text,
  status text,
  status_changed_at timestamptz,
  estimated_from timestamp,
  estimated_until timestamp,
  estimated_time_zone text,
  is_estimate_a_date boolean,
  delivered_at timestamptz,
  delivered_local_time timestamp,
  delivered_time_zone text,
  last_scan_at timestamptz,
  last_scan_local_time timestamp,
  last_scan_time_zone text,
  is_last_scan_a_date boolean,
  last_scan_location text,
  expires_at timestamptz
)
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select c.name, p.status, p.status_changed_at, p.estimated_from, p.estimated_until, p.estimated_time_zone, p.is_estimate_a_date,
    p.delivered_at, p.delivered_local_time, p.delivered_time_zone,
    e.occurred_at, e.local_time, e.time_zone, e.is_date_only, e.location, l.expires_at
  from bookpost_private.tracking_link_tokens t
  join bookpost.tracking_links l on l.id = t.link_id and l.revoked_at is null and l.expires_at > clock_timestamp()
  join bookpost.parcels p on p.id = l.parcel_id
  join bookpost.carriers c on c.code = p.carrier_code
  left join lateral (
    select x.occurred_at, x.local_time, x.time_zone, x.is_date_only, x.location
    from bookpost.tracking_events x
    where x.parcel_id = p.id
      and not bookpost_private.is_of_earlier_life(x.occurred_at, x.local_time, x.is_date_only, p.sent_on, p.created_at)
    order by x.sort_at desc, x.sort_rank desc, x.identity desc
    limit 1
  ) e on true
  where t.token_hash = sha256(convert_to(shared_parcel.token, 'UTF8'));
  -- NOTE: no title, no owner, no number, no signature, no other book, and no word of the carrier's that could hold one.
end;

comment on function bookpost.shared_parcel(text) is
  'Where the parcel of a public link is: its carrier, status, estimate, delivery, and the last scan''s time and place. No row for a token that nobody has, or whose link has expired or was revoked: all three alike.';
