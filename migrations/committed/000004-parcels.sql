--! Previous: sha1:6eb6ee987251df81935cb18efa208ecdb7350ac1
--! Hash: sha1:526d8ecfdaa3ca916c15d59ae4827bb64adab5eb
--! Message: parcels

-- What is tracked, for whom, and what the carrier saw.

create function bookpost.normalize_tracking_number(tracking_number text) returns text
language sql immutable strict parallel safe
return upper(regexp_replace(tracking_number, '[[:space:]-]+', '', 'g'));

comment on function bookpost.normalize_tracking_number(text) is
  'The form in which numbers are stored and compared: upper case, without spaces and hyphens.';

-- Two ways to be in doubt: the carrier said days and no times, or no zone. In doubt it is not late yet.
create function bookpost_private.estimate_ends_at(estimated_until timestamp, is_estimate_a_date boolean, time_zone text) returns timestamptz
language sql immutable parallel safe
return (
  estimated_until
  + case when is_estimate_a_date then interval '24 hours' else interval '0' end
  - case
      when time_zone = 'UTC' then interval '0'
      when time_zone collate "C" ~ '^[+-](0[0-9]|1[0-4]):[0-5][0-9]$'
        then make_interval(hours => left(time_zone, 3)::integer, mins => (left(time_zone, 1) || right(time_zone, 2))::integer)
      -- No offset, or a zone by its name, which only a table of zones could read: no place's clock is later than UTC-12.
      else interval '-12 hours'
    end
) at time zone 'UTC';

comment on function bookpost_private.estimate_ends_at(timestamp, boolean, text) is
  'The instant at which an estimate has certainly passed: its latest time, or the end of its last day, by the offset that the carrier gave, else everywhere on Earth. Null where there is no estimate; never an error, whatever the zone.';

create table bookpost.parcels (
  id uuid primary key default gen_random_uuid(),
  carrier_code text constraint parcels_carrier_is_explicit not null references bookpost.carriers on update cascade on delete restrict,
  tracking_number text not null,
  tracking_url text,
  sent_on date,
  status text not null default 'pending' references bookpost.parcel_statuses on update cascade on delete restrict,
  status_version integer not null default 0,
  status_changed_at timestamptz not null default now(),
  notice_version integer not null default 0,
  raw_status text,
  raw_text text,
  reason_code text,
  is_action_required boolean not null default false,
  is_return boolean not null default false,
  estimated_from timestamp,
  estimated_until timestamp,
  estimated_time_zone text,
  first_estimated_from timestamp,
  first_estimated_until timestamp,
  is_estimate_a_date boolean not null default false,
  told_estimated_until timestamp,
  delivered_at timestamptz,
  delivered_local_time timestamp,
  delivered_time_zone text,
  signed_by text,
  created_at timestamptz not null default now(),
  closed_at timestamptz,
  closed_reason text,
  overdue_at timestamptz generated always as (
    case
      when closed_at is null and not is_return and status not in ('available_for_pickup', 'delivered', 'return_to_sender', 'cancelled')
        then bookpost_private.estimate_ends_at(estimated_until, is_estimate_a_date, estimated_time_zone)
    end
  ) stored,
  -- Letters and digits only, so the number is safe in a path and in a link.
  constraint parcels_tracking_number_is_normalised check (tracking_number collate "C" ~ '^[A-Z0-9]{4,40}$'),
  constraint parcels_tracking_url_is_https check (tracking_url ~ '^https://[^[:space:]]+$' and length(tracking_url) <= 2000),
  constraint parcels_estimate_has_both_ends check (
    (estimated_from is null) = (estimated_until is null) and estimated_from <= estimated_until
  ),
  constraint parcels_delivery_time_needs_a_delivery check (
    status in ('delivered', 'return_to_sender') or (delivered_at is null and delivered_local_time is null)
  ),
  constraint parcels_closing_has_a_reason check ((closed_at is null) = (closed_reason is null)),
  constraint parcels_closed_reason_is_known check (closed_reason in ('delivered', 'returned', 'cancelled', 'stopped'))
) with (fillfactor = 85);

comment on table bookpost.parcels is
  'What a carrier carries: one number, in one life. Carriers use numbers again, so only one live parcel may have a number; a corrected number is a new parcel.';
comment on column bookpost.parcels.carrier_code is 'Always said by a person or the app, never guessed from the number.';
comment on column bookpost.parcels.tracking_number is 'Upper case letters and digits, without spaces or hyphens.';
comment on column bookpost.parcels.sent_on is
  'The day it was posted, where a person said it. Scans from more than two weeks before it, or before created_at where it is null, are of an earlier parcel with this number.';
comment on column bookpost.parcels.status is 'Its stage, in the same words for every carrier.';
comment on column bookpost.parcels.reason_code is 'The carrier''s code for what is wrong; null: nothing, or none was given.';
comment on column bookpost.parcels.is_action_required is 'The carrier waits for the recipient: an address, papers, money.';
comment on column bookpost.parcels.is_return is 'The carrier says that it goes back to the sender.';
comment on column bookpost.parcels.estimated_until is 'Latest expected delivery, as a wall clock at the destination shows it.';
comment on column bookpost.parcels.estimated_time_zone is 'The zone of the estimate; null: the carrier gave none.';
comment on column bookpost.parcels.delivered_time_zone is 'The zone or offset of the delivery; null: the carrier gave none.';
comment on column bookpost.parcels.signed_by is 'Who took it, as the carrier wrote it.';
comment on column bookpost.parcels.created_at is 'Since when bookpost has tracked it.';
comment on column bookpost.parcels.closed_reason is 'delivered, returned, cancelled or stopped (nobody waits for it any more).';
comment on column bookpost.parcels.tracking_url is 'A public page that the carrier itself named, where it differs from its usual one.';
comment on column bookpost.parcels.status_version is 'Counts the changes of status; a notification names the version it tells of.';
comment on column bookpost.parcels.status_changed_at is 'When bookpost learnt of the present status. When it happened, the events tell.';
comment on column bookpost.parcels.notice_version is
  'Counts what is worth telling beside the stages: that the carrier waits for the recipient, that the estimate has moved.';
comment on column bookpost.parcels.told_estimated_until is
  'The estimate that owners were told of last: from it is measured whether a later one has moved by a day.';
comment on column bookpost.parcels.raw_status is 'The carrier''s own code for its present state, as sent.';
comment on column bookpost.parcels.raw_text is 'The carrier''s own words for its present state.';
comment on column bookpost.parcels.estimated_from is 'Earliest expected delivery, as a wall clock at the destination shows it.';
comment on column bookpost.parcels.first_estimated_from is 'Earliest delivery by the first estimate that the carrier gave: how far it has moved since, tells how late it is.';
comment on column bookpost.parcels.first_estimated_until is 'Latest delivery by the first estimate that the carrier gave.';
comment on column bookpost.parcels.is_estimate_a_date is 'The carrier gave days, not times of day.';
comment on column bookpost.parcels.delivered_at is 'The carrier''s own time of delivery; null where it gave no offset or zone: see delivered_local_time.';
comment on column bookpost.parcels.delivered_local_time is 'What the wall clock showed at delivery.';
comment on column bookpost.parcels.closed_at is 'Since when it is no longer tracked; null: live.';
comment on column bookpost.parcels.overdue_at is
  'From when it is overdue: its latest expected delivery has passed, by the carrier''s offset or else wherever it may be going. Null: no estimate, no longer on its way (delivered, waiting to be collected, going back, cancelled), or closed. It moves with the estimate.';

-- One live parcel per carrier and number; also how track_book finds it.
create unique index parcels_one_live_per_carrier_and_number on bookpost.parcels (carrier_code, tracking_number) where closed_at is null;
-- Any parcel of a number, live or closed: support's question.
create index parcels_tracking_number_idx on bookpost.parcels (tracking_number);
-- The operator's list by status, newest change first.
create index parcels_status_changed_at_idx on bookpost.parcels (status, status_changed_at desc, id);
-- "What has moved last", whatever its status.
create index parcels_moved_idx on bookpost.parcels (status_changed_at desc, id);
create index parcels_created_at_idx on bookpost.parcels (created_at desc, id);
-- What is overdue, and what will be by a given day.
create index parcels_overdue_at_idx on bookpost.parcels (overdue_at);
-- The longest overdue first, those that never are last. Thousands share a moment: that of all estimates of one day.
create index parcels_overdue_order_idx on bookpost.parcels (coalesce(overdue_at, timestamptz '9999-12-31 00:00Z'), id);

create table bookpost.parcel_books (
  book_id uuid not null,
  parcel_id uuid not null references bookpost.parcels on delete cascade,
  owner_id uuid not null,
  started_at timestamptz not null default now(),
  stopped_at timestamptz,
  first_synced_at timestamptz,
  tracking_url text,
  primary key (book_id, parcel_id),
  constraint parcel_books_book_belongs_to_owner foreign key (book_id, owner_id)
    references bookpost.books (id, owner_id) on update cascade on delete cascade,
  constraint parcel_books_tracking_url_is_https check (tracking_url ~ '^https://[^[:space:]]+$' and length(tracking_url) <= 2000),
  constraint parcel_books_stops_after_it_starts check (stopped_at >= started_at)
);

comment on table bookpost.parcel_books is
  'Which book travels in which parcel, and for whom it is tracked. A parcel is looked up while one of these is live, so one owner''s stop never ends another''s tracking.';
comment on column bookpost.parcel_books.started_at is 'Since when this owner wants it tracked.';
comment on column bookpost.parcel_books.stopped_at is 'Since when this owner no longer wants it tracked; null: live.';
comment on column bookpost.parcel_books.tracking_url is 'A public page that this owner gave; other owners of the parcel do not see it.';
comment on column bookpost.parcel_books.first_synced_at is 'When the carrier first answered for this owner''s book.';

-- "Who is told of this parcel?" and the policies below.
create index parcel_books_parcel_id_owner_id_idx on bookpost.parcel_books (parcel_id, owner_id);
create index parcel_books_owner_id_started_at_idx on bookpost.parcel_books (owner_id, started_at desc);

create table bookpost.tracking_events (
  parcel_id uuid not null references bookpost.parcels on delete cascade,
  identity text not null,
  occurred_at timestamptz,
  local_time timestamp,
  time_zone text,
  is_date_only boolean not null default false,
  raw_time text not null,
  status text references bookpost.parcel_statuses on update cascade on delete restrict,
  raw_code text not null,
  is_code_listed boolean not null default true,
  description text,
  location text,
  country_code text,
  reason_code text,
  is_action_required boolean not null default false,
  sort_at timestamptz not null,
  sort_rank smallint not null,
  first_seen_at timestamptz not null default now(),
  primary key (parcel_id, identity),
  constraint tracking_events_unlisted_code_has_no_status check (is_code_listed or status is null),
  constraint tracking_events_texts_are_short check (
    length(identity) <= 100 and length(raw_time) <= 100 and length(raw_code) <= 100
    and length(description) <= 500 and length(location) <= 500
  )
);

comment on table bookpost.tracking_events is
  'The carrier''s scans, each kept once, none ever removed because the carrier forgot it.';
comment on column bookpost.tracking_events.identity is 'Tells this scan from every other of the parcel.';
comment on column bookpost.tracking_events.is_date_only is 'The carrier gave a day and no time of day.';
comment on column bookpost.tracking_events.raw_code is 'The carrier''s own code.';
comment on column bookpost.tracking_events.description is 'The carrier''s own words.';
comment on column bookpost.tracking_events.location is 'Where, in the carrier''s words.';
comment on column bookpost.tracking_events.country_code is 'Where: the carrier''s code of the country, mostly ISO 3166-1 alpha-2.';
comment on column bookpost.tracking_events.reason_code is 'The carrier''s code for what is wrong.';
comment on column bookpost.tracking_events.is_action_required is 'The carrier waits for the recipient.';
comment on column bookpost.tracking_events.first_seen_at is 'When bookpost learnt of it.';
comment on column bookpost.tracking_events.occurred_at is 'The instant, where the carrier gave an offset or zone; otherwise null.';
comment on column bookpost.tracking_events.local_time is 'What the wall clock showed there; at midnight where only a date was given (is_date_only).';
comment on column bookpost.tracking_events.time_zone is 'The zone or offset the carrier gave; null: it gave none.';
comment on column bookpost.tracking_events.raw_time is 'The carrier''s own text.';
comment on column bookpost.tracking_events.status is 'The stage this scan tells of; null: none (a photo, a changed date), or a code not in our table.';
comment on column bookpost.tracking_events.is_code_listed is 'False: the carrier used a code we do not know; it changed nothing and is listed for a person.';
comment on column bookpost.tracking_events.sort_at is
  'The order of scans: the instant, or the local time read as UTC and lifted to the scan before it where the carrier lists it later.';
comment on column bookpost.tracking_events.sort_rank is 'Its place in the carrier''s own list, oldest first; it orders scans with the same sort_at.';

-- Carriers use numbers again (USPS: after about 120 days, as its users report; not documented) and tell the former parcel's
-- history of the new one. 14 days: how long before its day a parcel may have been scanned, and before the day on which it
-- was first tracked; chosen, far below the 120. A wall clock without a zone may stand a day off, a date ends a day later.
-- NOTE: a parcel that was posted earlier than that needs sent_on; until then needs_person lists it.
create function bookpost_private.is_of_earlier_life(
  occurred_at timestamptz, local_time timestamp, is_date_only boolean, sent_on date, tracked_since timestamptz
) returns boolean
language sql stable parallel safe
return coalesce(
  occurred_at,
  local_time at time zone 'UTC' + case when is_date_only then interval '48 hours' else interval '24 hours' end
) < coalesce(sent_on::timestamp at time zone 'UTC', tracked_since) - interval '336 hours';

comment on function bookpost_private.is_of_earlier_life(timestamptz, timestamp, boolean, date, timestamptz) is
  'Whether a scan is of an earlier parcel with the same number: certainly more than 14 days (336 hours) before the day on which this one was sent, or, where nobody said it, before it was first tracked. In doubt (no zone, only a date) it is not.';

-- "The last scans of this parcel", and the fold that gives the status.
create index tracking_events_parcel_id_sort_idx on bookpost.tracking_events (parcel_id, sort_at desc, sort_rank desc, identity desc);
-- The operator's list of all scans by time.
create index tracking_events_sort_idx on bookpost.tracking_events (sort_at desc, sort_rank desc, identity desc, parcel_id desc);
-- The list of unknown codes.
create index tracking_events_unlisted_idx on bookpost.tracking_events (raw_code) where not is_code_listed;

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost.parcels', 'bookpost.parcel_books', 'bookpost.tracking_events'
]::regclass[]) t;

grant select on bookpost.parcels, bookpost.parcel_books, bookpost.tracking_events
  to bookpost_member, bookpost_operator;

create policy member_sees_her_own on bookpost.parcel_books for select to bookpost_member
  using (owner_id = (select bookpost.current_user_id()));
-- Asked of each row that something else has found: 20 books with their parcels and scans, of a dealer with 20,000 of 80,000,
-- take 17 ms; 345 ms where her parcels are put in an array first. What lists these tables by itself would walk them whole;
-- it says first whose rows it wants (src/graphql/memberListPlugin.ts).
create policy member_sees_her_books on bookpost.parcels for select to bookpost_member
  using (exists (select from bookpost.parcel_books pb where pb.parcel_id = parcels.id and pb.owner_id = (select bookpost.current_user_id())));
create policy member_sees_her_books on bookpost.tracking_events for select to bookpost_member
  using (exists (
    select from bookpost.parcel_books pb where pb.parcel_id = tracking_events.parcel_id and pb.owner_id = (select bookpost.current_user_id())
  ));
create policy operator_sees_all on bookpost.parcel_books for select to bookpost_operator using (true);
create policy operator_sees_all on bookpost.parcels for select to bookpost_operator using (true);
create policy operator_sees_all on bookpost.tracking_events for select to bookpost_operator using (true);
