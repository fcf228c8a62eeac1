-- What the schemas bookpost, bookpost_ops and bookpost_private are, printed from the
-- live catalogue by: npx bookpost schema --write
-- Generated: to change the schema, change the migrations. For reading and for review,
-- not for running. Partitions, the owner and the owner's own grants are left out.

create schema bookpost;
comment on schema bookpost is 'Books in the post, for people and the API. Everything here is readable through GraphQL, under row-level security.';
grant usage on schema bookpost to bookpost_member;
grant usage on schema bookpost to bookpost_operator;
grant usage on schema bookpost to bookpost_visitor;
grant usage on schema bookpost to bookpost_worker;

create table bookpost.books (
  id uuid default gen_random_uuid() not null,
  owner_id uuid not null,
  title text not null,
  author text,
  declared_value numeric(12,2),
  declared_currency text,
  app_book_id text,
  created_at timestamp with time zone default now() not null,
  constraint books_pkey PRIMARY KEY (id),
  constraint books_app_book_id_is_unique_per_owner UNIQUE (owner_id, app_book_id),
  constraint books_id_and_owner_are_unique UNIQUE (id, owner_id),
  constraint books_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES bookpost.users(id) ON DELETE CASCADE,
  constraint books_app_book_id_is_short CHECK ((length(app_book_id) <= 200)),
  constraint books_author_is_short CHECK ((length(author) <= 500)),
  constraint books_declared_currency_is_iso_4217 CHECK (((declared_currency COLLATE "C") ~ '^[A-Z]{3}$'::text)),
  constraint books_declared_value_has_a_currency CHECK (((declared_value IS NULL) = (declared_currency IS NULL))),
  constraint books_declared_value_is_not_negative CHECK ((declared_value >= (0)::numeric)),
  constraint books_title_is_not_blank CHECK (((title ~ '[^[:space:]]'::text) AND (length(title) <= 500)))
);
CREATE INDEX books_app_book_id_idx ON bookpost.books USING btree (app_book_id);
CREATE INDEX books_created_at_idx ON bookpost.books USING btree (created_at DESC, id);
CREATE INDEX books_owner_id_created_at_idx ON bookpost.books USING btree (owner_id, created_at DESC, id);
alter table bookpost.books enable row level security;
alter table bookpost.books force row level security;
create policy member_sees_her_own on bookpost.books for select to bookpost_member using ((owner_id = ( SELECT bookpost.current_user_id() AS current_user_id)));
create policy operator_sees_all on bookpost.books for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.books for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _600_tell_delete AFTER DELETE ON bookpost.books REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_books__tell_changes();
CREATE TRIGGER _600_tell_insert AFTER INSERT ON bookpost.books REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_books__tell_changes();
CREATE TRIGGER _600_tell_update AFTER UPDATE ON bookpost.books REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_books__tell_changes();
comment on table bookpost.books is 'A book on its way to or from its owner. Where it is, its parcels tell.';
comment on column bookpost.books.owner_id is 'Who is told where it is.';
comment on column bookpost.books.title is 'As the owner wrote it.';
comment on column bookpost.books.author is 'As the owner wrote it; null: not said.';
comment on column bookpost.books.declared_value is 'What it is insured for, in declared_currency (ISO 4217, such as EUR).';
comment on column bookpost.books.declared_currency is 'ISO 4217, such as EUR.';
comment on column bookpost.books.app_book_id is 'The app''s own id of this book; unique among one owner''s books.';
comment on column bookpost.books.created_at is 'Since when bookpost has known it.';
grant select on bookpost.books to bookpost_member;
grant select on bookpost.books to bookpost_operator;
grant delete, insert, select, update on bookpost.books to bookpost_worker;

create table bookpost.carrier_apis (
  code text not null,
  name text not null,
  batch_size integer default 1 not null,
  calls_in_flight integer default 10 not null,
  calls_per_day integer,
  calls_per_parcel_per_day integer,
  day_time_zone text default 'UTC'::text not null,
  min_check_interval interval default '00:01:00'::interval not null,
  failure_threshold integer default 3 not null,
  cooldown interval default '00:30:00'::interval not null,
  max_cooldown interval default '04:00:00'::interval not null,
  release_duration interval default '00:10:00'::interval not null,
  lease_duration interval default '00:01:40'::interval not null,
  constraint carrier_apis_pkey PRIMARY KEY (code),
  constraint carrier_apis_code_is_lower_snake CHECK (((code COLLATE "C") ~ '^[a-z][a-z0-9_]{1,30}$'::text)),
  constraint carrier_apis_day_time_zone_is_known CHECK ((('2000-01-01 00:00:00+00'::timestamp with time zone AT TIME ZONE day_time_zone) IS NOT NULL)),
  constraint carrier_apis_intervals_are_positive CHECK ((((min_check_interval >= '00:00:00'::interval) AND (min_check_interval <= '30 days'::interval)) AND (cooldown > '00:00:00'::interval) AND ((max_cooldown >= cooldown) AND (max_cooldown <= '30 days'::interval)) AND ((release_duration >= '00:00:00'::interval) AND (release_duration <= '1 day'::interval)) AND (lease_duration > '00:00:00'::interval) AND (lease_duration <= '01:00:00'::interval))),
  constraint carrier_apis_limits_are_positive CHECK ((((batch_size >= 1) AND (batch_size <= 100)) AND (calls_in_flight > 0) AND (calls_per_day > 0) AND (calls_per_parcel_per_day > 0) AND (failure_threshold > 0)))
);
alter table bookpost.carrier_apis enable row level security;
alter table bookpost.carrier_apis force row level security;
create policy everyone_reads on bookpost.carrier_apis for select to public using (true);
create policy worker_does_all on bookpost.carrier_apis for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _500_insert_companions AFTER INSERT ON bookpost.carrier_apis FOR EACH ROW EXECUTE FUNCTION bookpost_private.tg_carrier_apis__insert_companions();
CREATE TRIGGER _500_keep_day_counts AFTER UPDATE OF day_time_zone ON bookpost.carrier_apis FOR EACH ROW WHEN ((old.day_time_zone IS DISTINCT FROM new.day_time_zone)) EXECUTE FUNCTION bookpost_private.tg_carrier_apis__keep_day_counts();
comment on table bookpost.carrier_apis is 'Whom we ask: one row per adapter, with the limits its owner sets. Mostly a carrier''s own API; an aggregator can answer for many carriers.';
comment on column bookpost.carrier_apis.code is 'The adapter''s name, and the prefix of its environment variables.';
comment on column bookpost.carrier_apis.name is 'In the words of its owner.';
comment on column bookpost.carrier_apis.batch_size is 'How many numbers one request may ask about; the adapter''s own number.';
comment on column bookpost.carrier_apis.calls_in_flight is 'Requests under way at once, over all processes. 10 unless the carrier says less.';
comment on column bookpost.carrier_apis.calls_per_day is 'At most this many requests a day, tokens included; null: not limited. The day begins at midnight in day_time_zone. Spent evenly over the day.';
comment on column bookpost.carrier_apis.calls_per_parcel_per_day is 'At most this many requests about one parcel a day; null: not limited.';
comment on column bookpost.carrier_apis.day_time_zone is 'IANA name: where the API''s day begins.';
comment on column bookpost.carrier_apis.min_check_interval is 'A parcel is not looked up again sooner than this, whoever asks.';
comment on column bookpost.carrier_apis.failure_threshold is 'So many failures in a row open the circuit.';
comment on column bookpost.carrier_apis.cooldown is 'How long an opened circuit stays open before one probe is let through; doubled by each failed probe up to max_cooldown.';
comment on column bookpost.carrier_apis.max_cooldown is 'The longest a circuit stays open, however often its probe fails.';
comment on column bookpost.carrier_apis.release_duration is 'After an outage: how long it takes until as much goes out as may. Chosen 10 minutes; half of what is due goes in the last 3.';
comment on column bookpost.carrier_apis.lease_duration is 'A lookup that has not reported by then is given up as interrupted. Longer than the four requests of 20 seconds that a lookup may take.';
grant select on bookpost.carrier_apis to bookpost_member;
grant select on bookpost.carrier_apis to bookpost_operator;
grant select on bookpost.carrier_apis to bookpost_visitor;
grant delete, insert, select, update on bookpost.carrier_apis to bookpost_worker;

create table bookpost.carrier_circuits (
  api_code text not null,
  state text default 'closed'::text not null,
  generation integer default 1 not null,
  consecutive_failures integer default 0 not null,
  failed_lookup_ids uuid[] default '{}'::uuid[] not null,
  opened_at timestamp with time zone,
  open_until timestamp with time zone,
  cooldown interval,
  probe_lookup_id uuid,
  probe_until timestamp with time zone,
  is_forced boolean default false not null,
  forced_until timestamp with time zone,
  released_at timestamp with time zone,
  changed_at timestamp with time zone default now() not null,
  constraint carrier_circuits_pkey PRIMARY KEY (api_code),
  constraint carrier_circuits_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint carrier_circuits_state_fkey FOREIGN KEY (state) REFERENCES bookpost.circuit_states(state),
  constraint carrier_circuits_counts_are_sane CHECK (((consecutive_failures >= 0) AND (generation >= 1) AND (cardinality(failed_lookup_ids) <= LEAST((2 * consecutive_failures), 20)))),
  constraint carrier_circuits_forced_has_an_end CHECK ((is_forced = (forced_until IS NOT NULL))),
  constraint carrier_circuits_state_and_times_agree CHECK (
CASE state
    WHEN 'closed'::text THEN ((opened_at IS NULL) AND (open_until IS NULL) AND (cooldown IS NULL) AND (probe_lookup_id IS NULL) AND (probe_until IS NULL))
    WHEN 'open'::text THEN ((opened_at IS NOT NULL) AND (open_until IS NOT NULL) AND (cooldown IS NOT NULL) AND (probe_lookup_id IS NULL) AND (probe_until IS NULL))
    WHEN 'half_open'::text THEN ((opened_at IS NOT NULL) AND (open_until IS NOT NULL) AND (cooldown IS NOT NULL) AND (probe_lookup_id IS NOT NULL) AND (probe_until IS NOT NULL) AND (NOT is_forced))
    ELSE NULL::boolean
END)
) with (fillfactor=50);
alter table bookpost.carrier_circuits enable row level security;
alter table bookpost.carrier_circuits force row level security;
create policy everyone_reads on bookpost.carrier_circuits for select to public using (true);
create policy worker_does_all on bookpost.carrier_circuits for all to bookpost_worker using (true) with check (true);
comment on table bookpost.carrier_circuits is 'The circuit breaker of each API. Moved only by functions; not written while all is well.';
comment on column bookpost.carrier_circuits.state is 'Whether lookups go out.';
comment on column bookpost.carrier_circuits.generation is 'Raised by every transition; a report from an older one changes nothing.';
comment on column bookpost.carrier_circuits.consecutive_failures is 'How many requests in a row have failed; one that asks about many parcels counts once.';
comment on column bookpost.carrier_circuits.failed_lookup_ids is 'The failures in a row, newest last, at most 20, and at most two of one request: the evidence for an opening.';
comment on column bookpost.carrier_circuits.opened_at is 'Since when it has not been closed; null: it is.';
comment on column bookpost.carrier_circuits.open_until is 'When open: nothing is asked before this time; then one probe may go.';
comment on column bookpost.carrier_circuits.cooldown is 'How long this opening lasts; a failed probe doubles it for the next.';
comment on column bookpost.carrier_circuits.probe_until is 'When half open: a probe that has not reported by then is lost and another may take its place.';
comment on column bookpost.carrier_circuits.is_forced is 'A person holds it open or closed until forced_until.';
comment on column bookpost.carrier_circuits.forced_until is 'When the hold by hand ends.';
comment on column bookpost.carrier_circuits.released_at is 'When it last closed after an outage; for release_duration from then on lookups are let through gradually.';
comment on column bookpost.carrier_circuits.changed_at is 'When it last moved.';
grant select on bookpost.carrier_circuits to bookpost_member;
grant select on bookpost.carrier_circuits to bookpost_operator;
grant select on bookpost.carrier_circuits to bookpost_visitor;
grant delete, insert, select, update on bookpost.carrier_circuits to bookpost_worker;

create table bookpost.carrier_limits (
  api_code text not null,
  call_window interval not null,
  calls integer not null,
  constraint carrier_limits_pkey PRIMARY KEY (api_code, call_window),
  constraint carrier_limits_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint carrier_limits_are_sane CHECK (((calls > 0) AND ((call_window >= '00:00:00.001'::interval) AND (call_window <= '7 days'::interval)) AND ((calls)::numeric <= (EXTRACT(epoch FROM call_window) * (100000)::numeric))))
);
alter table bookpost.carrier_limits enable row level security;
alter table bookpost.carrier_limits force row level security;
create policy everyone_reads on bookpost.carrier_limits for select to public using (true);
create policy worker_does_all on bookpost.carrier_limits for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _500_insert_window AFTER INSERT ON bookpost.carrier_limits FOR EACH ROW EXECUTE FUNCTION bookpost_private.tg_carrier_limits__insert_window();
comment on table bookpost.carrier_limits is 'How many requests an API may get in any stretch of time of a given length, tokens included. One row per length; none: not limited.';
comment on column bookpost.carrier_limits.call_window is 'The length of time that calls counts in, wherever it begins.';
comment on column bookpost.carrier_limits.calls is 'At most this many requests in any call_window.';
grant select on bookpost.carrier_limits to bookpost_member;
grant select on bookpost.carrier_limits to bookpost_operator;
grant select on bookpost.carrier_limits to bookpost_visitor;
grant delete, insert, select, update on bookpost.carrier_limits to bookpost_worker;

create table bookpost.carriers (
  code text not null,
  name text not null,
  tracking_page text,
  api_code text,
  constraint carriers_pkey PRIMARY KEY (code),
  constraint carriers_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE SET NULL,
  constraint carriers_code_is_lower_snake CHECK (((code COLLATE "C") ~ '^[a-z][a-z0-9_]{1,30}$'::text)),
  constraint carriers_tracking_page_is_https CHECK ((tracking_page ~ '^https://[^[:space:]]*\{number\}'::text))
);
CREATE INDEX carriers_api_code_idx ON bookpost.carriers USING btree (api_code);
alter table bookpost.carriers enable row level security;
alter table bookpost.carriers force row level security;
create policy everyone_reads on bookpost.carriers for select to public using (true);
create policy worker_does_all on bookpost.carriers for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _500_move_checks AFTER UPDATE OF api_code ON bookpost.carriers FOR EACH ROW WHEN ((old.api_code IS DISTINCT FROM new.api_code)) EXECUTE FUNCTION bookpost_private.tg_carriers__move_checks();
comment on table bookpost.carriers is 'Who carries parcels.';
comment on column bookpost.carriers.code is 'What a parcel names it by.';
comment on column bookpost.carriers.name is 'As people know it.';
comment on column bookpost.carriers.tracking_page is 'The carrier''s public page; {number} stands for the tracking number.';
comment on column bookpost.carriers.api_code is 'Whose API is asked for this carrier''s parcels; null: nobody can be asked, the parcel carries a link and people set its status.';
grant select on bookpost.carriers to bookpost_member;
grant select on bookpost.carriers to bookpost_operator;
grant select on bookpost.carriers to bookpost_visitor;
grant delete, insert, select, update on bookpost.carriers to bookpost_worker;

create table bookpost.changes (
  id bigint generated by default as identity not null,
  xid xid8 default pg_current_xact_id() not null,
  user_id uuid not null,
  kind text not null,
  book_id uuid,
  parcel_id uuid,
  notification_id uuid,
  changed_at timestamp with time zone default now() not null,
  constraint changes_pkey PRIMARY KEY (xid, id),
  constraint changes_once_per_transaction UNIQUE NULLS NOT DISTINCT (user_id, xid, kind, book_id, parcel_id, notification_id),
  constraint changes_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookpost.users(id) ON DELETE CASCADE,
  constraint changes_kind_says_which_ids_there_are CHECK (
CASE kind
    WHEN 'book'::text THEN ((book_id IS NOT NULL) AND (parcel_id IS NULL) AND (notification_id IS NULL))
    WHEN 'parcel'::text THEN ((book_id IS NULL) AND (parcel_id IS NOT NULL) AND (notification_id IS NULL))
    WHEN 'notification'::text THEN ((book_id IS NOT NULL) AND (parcel_id IS NOT NULL) AND (notification_id IS NOT NULL))
    ELSE false
END)
);
CREATE INDEX changes_user_id_xid_id_idx ON bookpost.changes USING btree (user_id, xid, id);
alter table bookpost.changes enable row level security;
alter table bookpost.changes force row level security;
create policy member_sees_her_own on bookpost.changes for select to bookpost_member using ((user_id = ( SELECT bookpost.current_user_id() AS current_user_id)));
create policy operator_sees_all on bookpost.changes for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.changes for all to bookpost_worker using (true) with check (true);
comment on table bookpost.changes is 'What became different of what a person may see: one row for each person, thing and transaction. What it is like now, the thing itself tells.';
comment on column bookpost.changes.xid is 'The transaction that changed it.';
comment on column bookpost.changes.user_id is 'Whose book, parcel or notification it is, or was.';
comment on column bookpost.changes.kind is 'book: it, or which parcels it travels in; parcel: it, its scans, or whether she may see it; notification: it came, was read, or went.';
comment on column bookpost.changes.book_id is 'The book, which may be gone by now.';
comment on column bookpost.changes.parcel_id is 'The parcel, which she may no longer see.';
comment on column bookpost.changes.notification_id is 'The notification, which may be gone by now.';
comment on column bookpost.changes.changed_at is 'When the transaction began that changed it. Not an order: which was committed first, it does not tell.';
grant select on bookpost.changes to bookpost_member;
grant select on bookpost.changes to bookpost_operator;
grant delete, insert, select, update on bookpost.changes to bookpost_worker;

create table bookpost.circuit_states (
  state text not null,
  description text not null,
  constraint circuit_states_pkey PRIMARY KEY (state)
);
alter table bookpost.circuit_states enable row level security;
alter table bookpost.circuit_states force row level security;
create policy everyone_reads on bookpost.circuit_states for select to public using (true);
create policy worker_does_all on bookpost.circuit_states for all to bookpost_worker using (true) with check (true);
comment on table bookpost.circuit_states is 'What a circuit breaker can be.';
grant select on bookpost.circuit_states to bookpost_member;
grant select on bookpost.circuit_states to bookpost_operator;
grant select on bookpost.circuit_states to bookpost_visitor;
grant delete, insert, select, update on bookpost.circuit_states to bookpost_worker;

create table bookpost.notification_kinds (
  kind text not null,
  description text not null,
  constraint notification_kinds_pkey PRIMARY KEY (kind)
);
alter table bookpost.notification_kinds enable row level security;
alter table bookpost.notification_kinds force row level security;
create policy everyone_reads on bookpost.notification_kinds for select to public using (true);
create policy worker_does_all on bookpost.notification_kinds for all to bookpost_worker using (true) with check (true);
comment on table bookpost.notification_kinds is 'What a notification tells of.';
comment on column bookpost.notification_kinds.description is 'In a sentence.';
grant select on bookpost.notification_kinds to bookpost_member;
grant select on bookpost.notification_kinds to bookpost_operator;
grant select on bookpost.notification_kinds to bookpost_visitor;
grant delete, insert, select, update on bookpost.notification_kinds to bookpost_worker;

create table bookpost.notifications (
  id uuid default gen_random_uuid() not null,
  user_id uuid not null,
  book_id uuid not null,
  parcel_id uuid not null,
  kind text default 'stage'::text not null,
  status text not null,
  status_version integer not null,
  notice_version integer,
  is_action_required boolean default false not null,
  detail text,
  location text,
  occurred_at timestamp with time zone,
  local_time timestamp without time zone,
  time_zone text,
  is_date_only boolean default false not null,
  estimated_from timestamp without time zone,
  estimated_until timestamp without time zone,
  estimated_time_zone text,
  is_estimate_a_date boolean default false not null,
  created_at timestamp with time zone default now() not null,
  read_at timestamp with time zone,
  constraint notifications_pkey PRIMARY KEY (id),
  constraint notifications_one_per_status_version UNIQUE NULLS NOT DISTINCT (user_id, book_id, parcel_id, status_version, notice_version),
  constraint notifications_book_id_fkey FOREIGN KEY (book_id) REFERENCES bookpost.books(id) ON DELETE CASCADE,
  constraint notifications_kind_fkey FOREIGN KEY (kind) REFERENCES bookpost.notification_kinds(kind) ON UPDATE CASCADE ON DELETE RESTRICT,
  constraint notifications_parcel_id_fkey FOREIGN KEY (parcel_id) REFERENCES bookpost.parcels(id) ON DELETE CASCADE,
  constraint notifications_status_fkey FOREIGN KEY (status) REFERENCES bookpost.parcel_statuses(status) ON UPDATE CASCADE ON DELETE RESTRICT,
  constraint notifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookpost.users(id) ON DELETE CASCADE,
  constraint notifications_only_notices_have_a_notice_version CHECK (((kind = 'stage'::text) = (notice_version IS NULL)))
);
CREATE INDEX notifications_book_id_idx ON bookpost.notifications USING btree (book_id);
CREATE INDEX notifications_created_at_idx ON bookpost.notifications USING btree (created_at DESC, id DESC);
CREATE INDEX notifications_parcel_id_idx ON bookpost.notifications USING btree (parcel_id);
CREATE INDEX notifications_unread_idx ON bookpost.notifications USING btree (user_id) WHERE (read_at IS NULL);
CREATE INDEX notifications_user_id_created_at_idx ON bookpost.notifications USING btree (user_id, created_at DESC, id);
alter table bookpost.notifications enable row level security;
alter table bookpost.notifications force row level security;
create policy member_sees_her_own on bookpost.notifications for select to bookpost_member using ((user_id = ( SELECT bookpost.current_user_id() AS current_user_id)));
create policy operator_sees_all on bookpost.notifications for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.notifications for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _600_tell_delete AFTER DELETE ON bookpost.notifications REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_notifications__tell_changes();
CREATE TRIGGER _600_tell_insert AFTER INSERT ON bookpost.notifications REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_notifications__tell_changes();
CREATE TRIGGER _600_tell_update AFTER UPDATE ON bookpost.notifications REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_notifications__tell_changes();
comment on table bookpost.notifications is 'What a person is told in the app of a book of hers. Written in the same commit as what it tells of.';
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
grant select on bookpost.notifications to bookpost_member;
grant select on bookpost.notifications to bookpost_operator;
grant delete, insert, select, update on bookpost.notifications to bookpost_worker;

create table bookpost.parcel_books (
  book_id uuid not null,
  parcel_id uuid not null,
  owner_id uuid not null,
  started_at timestamp with time zone default now() not null,
  stopped_at timestamp with time zone,
  first_synced_at timestamp with time zone,
  tracking_url text,
  constraint parcel_books_pkey PRIMARY KEY (book_id, parcel_id),
  constraint parcel_books_book_belongs_to_owner FOREIGN KEY (book_id, owner_id) REFERENCES bookpost.books(id, owner_id) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint parcel_books_parcel_id_fkey FOREIGN KEY (parcel_id) REFERENCES bookpost.parcels(id) ON DELETE CASCADE,
  constraint parcel_books_stops_after_it_starts CHECK ((stopped_at >= started_at)),
  constraint parcel_books_tracking_url_is_https CHECK (((tracking_url ~ '^https://[^[:space:]]+$'::text) AND (length(tracking_url) <= 2000)))
);
CREATE INDEX parcel_books_owner_id_started_at_idx ON bookpost.parcel_books USING btree (owner_id, started_at DESC);
CREATE INDEX parcel_books_parcel_id_owner_id_idx ON bookpost.parcel_books USING btree (parcel_id, owner_id);
alter table bookpost.parcel_books enable row level security;
alter table bookpost.parcel_books force row level security;
create policy member_sees_her_own on bookpost.parcel_books for select to bookpost_member using ((owner_id = ( SELECT bookpost.current_user_id() AS current_user_id)));
create policy operator_sees_all on bookpost.parcel_books for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.parcel_books for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _500_note_forsaken AFTER DELETE OR UPDATE OF stopped_at ON bookpost.parcel_books FOR EACH ROW EXECUTE FUNCTION bookpost_private.tg_parcel_books__note_forsaken();
CREATE TRIGGER _600_tell_delete AFTER DELETE ON bookpost.parcel_books REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_parcel_books__tell_changes();
CREATE TRIGGER _600_tell_insert AFTER INSERT ON bookpost.parcel_books REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_parcel_books__tell_changes();
CREATE TRIGGER _600_tell_update AFTER UPDATE ON bookpost.parcel_books REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_parcel_books__tell_changes();
comment on table bookpost.parcel_books is 'Which book travels in which parcel, and for whom it is tracked. A parcel is looked up while one of these is live, so one owner''s stop never ends another''s tracking.';
comment on column bookpost.parcel_books.started_at is 'Since when this owner wants it tracked.';
comment on column bookpost.parcel_books.stopped_at is 'Since when this owner no longer wants it tracked; null: live.';
comment on column bookpost.parcel_books.first_synced_at is 'When the carrier first answered for this owner''s book.';
comment on column bookpost.parcel_books.tracking_url is 'A public page that this owner gave; other owners of the parcel do not see it.';
grant select on bookpost.parcel_books to bookpost_member;
grant select on bookpost.parcel_books to bookpost_operator;
grant delete, insert, select, update on bookpost.parcel_books to bookpost_worker;

create table bookpost.parcel_statuses (
  status text not null,
  description text not null,
  "position" smallint not null,
  is_told boolean not null,
  constraint parcel_statuses_pkey PRIMARY KEY (status),
  constraint parcel_statuses_position_is_unique UNIQUE ("position")
);
alter table bookpost.parcel_statuses enable row level security;
alter table bookpost.parcel_statuses force row level security;
create policy everyone_reads on bookpost.parcel_statuses for select to public using (true);
create policy worker_does_all on bookpost.parcel_statuses for all to bookpost_worker using (true) with check (true);
comment on table bookpost.parcel_statuses is 'The stages of a parcel, the same words for every carrier.';
comment on column bookpost.parcel_statuses.is_told is 'Whether reaching this stage is worth a notification.';
grant select on bookpost.parcel_statuses to bookpost_member;
grant select on bookpost.parcel_statuses to bookpost_operator;
grant select on bookpost.parcel_statuses to bookpost_visitor;
grant delete, insert, select, update on bookpost.parcel_statuses to bookpost_worker;

create table bookpost.parcels (
  id uuid default gen_random_uuid() not null,
  carrier_code text not null,
  tracking_number text not null,
  tracking_url text,
  sent_on date,
  status text default 'pending'::text not null,
  status_version integer default 0 not null,
  status_changed_at timestamp with time zone default now() not null,
  notice_version integer default 0 not null,
  raw_status text,
  raw_text text,
  reason_code text,
  is_action_required boolean default false not null,
  is_return boolean default false not null,
  estimated_from timestamp without time zone,
  estimated_until timestamp without time zone,
  estimated_time_zone text,
  first_estimated_from timestamp without time zone,
  first_estimated_until timestamp without time zone,
  is_estimate_a_date boolean default false not null,
  told_estimated_until timestamp without time zone,
  delivered_at timestamp with time zone,
  delivered_local_time timestamp without time zone,
  delivered_time_zone text,
  signed_by text,
  created_at timestamp with time zone default now() not null,
  closed_at timestamp with time zone,
  closed_reason text,
  overdue_at timestamp with time zone generated always as (
CASE
    WHEN ((closed_at IS NULL) AND (NOT is_return) AND (status <> ALL (ARRAY['available_for_pickup'::text, 'delivered'::text, 'return_to_sender'::text, 'cancelled'::text]))) THEN bookpost_private.estimate_ends_at(estimated_until, is_estimate_a_date, estimated_time_zone)
    ELSE NULL::timestamp with time zone
END) stored,
  constraint parcels_pkey PRIMARY KEY (id),
  constraint parcels_carrier_code_fkey FOREIGN KEY (carrier_code) REFERENCES bookpost.carriers(code) ON UPDATE CASCADE ON DELETE RESTRICT,
  constraint parcels_status_fkey FOREIGN KEY (status) REFERENCES bookpost.parcel_statuses(status) ON UPDATE CASCADE ON DELETE RESTRICT,
  constraint parcels_closed_reason_is_known CHECK ((closed_reason = ANY (ARRAY['delivered'::text, 'returned'::text, 'cancelled'::text, 'stopped'::text]))),
  constraint parcels_closing_has_a_reason CHECK (((closed_at IS NULL) = (closed_reason IS NULL))),
  constraint parcels_delivery_time_needs_a_delivery CHECK (((status = ANY (ARRAY['delivered'::text, 'return_to_sender'::text])) OR ((delivered_at IS NULL) AND (delivered_local_time IS NULL)))),
  constraint parcels_estimate_has_both_ends CHECK ((((estimated_from IS NULL) = (estimated_until IS NULL)) AND (estimated_from <= estimated_until))),
  constraint parcels_tracking_number_is_normalised CHECK (((tracking_number COLLATE "C") ~ '^[A-Z0-9]{4,40}$'::text)),
  constraint parcels_tracking_url_is_https CHECK (((tracking_url ~ '^https://[^[:space:]]+$'::text) AND (length(tracking_url) <= 2000)))
) with (fillfactor=85);
CREATE INDEX parcels_created_at_idx ON bookpost.parcels USING btree (created_at DESC, id);
CREATE INDEX parcels_moved_idx ON bookpost.parcels USING btree (status_changed_at DESC, id);
CREATE UNIQUE INDEX parcels_one_live_per_carrier_and_number ON bookpost.parcels USING btree (carrier_code, tracking_number) WHERE (closed_at IS NULL);
CREATE INDEX parcels_overdue_at_idx ON bookpost.parcels USING btree (overdue_at);
CREATE INDEX parcels_overdue_order_idx ON bookpost.parcels USING btree (COALESCE(overdue_at, '9999-12-31 00:00:00+00'::timestamp with time zone), id);
CREATE INDEX parcels_status_changed_at_idx ON bookpost.parcels USING btree (status, status_changed_at DESC, id);
CREATE INDEX parcels_tracking_number_idx ON bookpost.parcels USING btree (tracking_number);
alter table bookpost.parcels enable row level security;
alter table bookpost.parcels force row level security;
create policy member_sees_her_books on bookpost.parcels for select to bookpost_member using ((EXISTS ( SELECT
   FROM bookpost.parcel_books pb
  WHERE ((pb.parcel_id = parcels.id) AND (pb.owner_id = ( SELECT bookpost.current_user_id() AS current_user_id))))));
create policy operator_sees_all on bookpost.parcels for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.parcels for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _600_tell_update AFTER UPDATE ON bookpost.parcels REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_parcels__tell_changes();
comment on table bookpost.parcels is 'What a carrier carries: one number, in one life. Carriers use numbers again, so only one live parcel may have a number; a corrected number is a new parcel.';
comment on column bookpost.parcels.carrier_code is 'Always said by a person or the app, never guessed from the number.';
comment on column bookpost.parcels.tracking_number is 'Upper case letters and digits, without spaces or hyphens.';
comment on column bookpost.parcels.tracking_url is 'A public page that the carrier itself named, where it differs from its usual one.';
comment on column bookpost.parcels.sent_on is 'The day it was posted, where a person said it. Scans from more than two weeks before it, or before created_at where it is null, are of an earlier parcel with this number.';
comment on column bookpost.parcels.status is 'Its stage, in the same words for every carrier.';
comment on column bookpost.parcels.status_version is 'Counts the changes of status; a notification names the version it tells of.';
comment on column bookpost.parcels.status_changed_at is 'When bookpost learnt of the present status. When it happened, the events tell.';
comment on column bookpost.parcels.notice_version is 'Counts what is worth telling beside the stages: that the carrier waits for the recipient, that the estimate has moved.';
comment on column bookpost.parcels.raw_status is 'The carrier''s own code for its present state, as sent.';
comment on column bookpost.parcels.raw_text is 'The carrier''s own words for its present state.';
comment on column bookpost.parcels.reason_code is 'The carrier''s code for what is wrong; null: nothing, or none was given.';
comment on column bookpost.parcels.is_action_required is 'The carrier waits for the recipient: an address, papers, money.';
comment on column bookpost.parcels.is_return is 'The carrier says that it goes back to the sender.';
comment on column bookpost.parcels.estimated_from is 'Earliest expected delivery, as a wall clock at the destination shows it.';
comment on column bookpost.parcels.estimated_until is 'Latest expected delivery, as a wall clock at the destination shows it.';
comment on column bookpost.parcels.estimated_time_zone is 'The zone of the estimate; null: the carrier gave none.';
comment on column bookpost.parcels.first_estimated_from is 'Earliest delivery by the first estimate that the carrier gave: how far it has moved since, tells how late it is.';
comment on column bookpost.parcels.first_estimated_until is 'Latest delivery by the first estimate that the carrier gave.';
comment on column bookpost.parcels.is_estimate_a_date is 'The carrier gave days, not times of day.';
comment on column bookpost.parcels.told_estimated_until is 'The estimate that owners were told of last: from it is measured whether a later one has moved by a day.';
comment on column bookpost.parcels.delivered_at is 'The carrier''s own time of delivery; null where it gave no offset or zone: see delivered_local_time.';
comment on column bookpost.parcels.delivered_local_time is 'What the wall clock showed at delivery.';
comment on column bookpost.parcels.delivered_time_zone is 'The zone or offset of the delivery; null: the carrier gave none.';
comment on column bookpost.parcels.signed_by is 'Who took it, as the carrier wrote it.';
comment on column bookpost.parcels.created_at is 'Since when bookpost has tracked it.';
comment on column bookpost.parcels.closed_at is 'Since when it is no longer tracked; null: live.';
comment on column bookpost.parcels.closed_reason is 'delivered, returned, cancelled or stopped (nobody waits for it any more).';
comment on column bookpost.parcels.overdue_at is 'From when it is overdue: its latest expected delivery has passed, by the carrier''s offset or else wherever it may be going. Null: no estimate, no longer on its way (delivered, waiting to be collected, going back, cancelled), or closed. It moves with the estimate.';
grant select on bookpost.parcels to bookpost_member;
grant select on bookpost.parcels to bookpost_operator;
grant delete, insert, select, update on bookpost.parcels to bookpost_worker;

create table bookpost.tracking_events (
  parcel_id uuid not null,
  identity text not null,
  occurred_at timestamp with time zone,
  local_time timestamp without time zone,
  time_zone text,
  is_date_only boolean default false not null,
  raw_time text not null,
  status text,
  raw_code text not null,
  is_code_listed boolean default true not null,
  description text,
  location text,
  country_code text,
  reason_code text,
  is_action_required boolean default false not null,
  sort_at timestamp with time zone not null,
  sort_rank smallint not null,
  first_seen_at timestamp with time zone default now() not null,
  constraint tracking_events_pkey PRIMARY KEY (parcel_id, identity),
  constraint tracking_events_parcel_id_fkey FOREIGN KEY (parcel_id) REFERENCES bookpost.parcels(id) ON DELETE CASCADE,
  constraint tracking_events_status_fkey FOREIGN KEY (status) REFERENCES bookpost.parcel_statuses(status) ON UPDATE CASCADE ON DELETE RESTRICT,
  constraint tracking_events_texts_are_short CHECK (((length(identity) <= 100) AND (length(raw_time) <= 100) AND (length(raw_code) <= 100) AND (length(description) <= 500) AND (length(location) <= 500))),
  constraint tracking_events_unlisted_code_has_no_status CHECK ((is_code_listed OR (status IS NULL)))
);
CREATE INDEX tracking_events_parcel_id_sort_idx ON bookpost.tracking_events USING btree (parcel_id, sort_at DESC, sort_rank DESC, identity DESC);
CREATE INDEX tracking_events_sort_idx ON bookpost.tracking_events USING btree (sort_at DESC, sort_rank DESC, identity DESC, parcel_id DESC);
CREATE INDEX tracking_events_unlisted_idx ON bookpost.tracking_events USING btree (raw_code) WHERE (NOT is_code_listed);
alter table bookpost.tracking_events enable row level security;
alter table bookpost.tracking_events force row level security;
create policy member_sees_her_books on bookpost.tracking_events for select to bookpost_member using ((EXISTS ( SELECT
   FROM bookpost.parcel_books pb
  WHERE ((pb.parcel_id = tracking_events.parcel_id) AND (pb.owner_id = ( SELECT bookpost.current_user_id() AS current_user_id))))));
create policy operator_sees_all on bookpost.tracking_events for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.tracking_events for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _600_tell_insert AFTER INSERT ON bookpost.tracking_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_tracking_events__tell_changes();
CREATE TRIGGER _600_tell_update AFTER UPDATE ON bookpost.tracking_events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION bookpost_private.tg_tracking_events__tell_changes();
comment on table bookpost.tracking_events is 'The carrier''s scans, each kept once, none ever removed because the carrier forgot it.';
comment on column bookpost.tracking_events.identity is 'Tells this scan from every other of the parcel.';
comment on column bookpost.tracking_events.occurred_at is 'The instant, where the carrier gave an offset or zone; otherwise null.';
comment on column bookpost.tracking_events.local_time is 'What the wall clock showed there; at midnight where only a date was given (is_date_only).';
comment on column bookpost.tracking_events.time_zone is 'The zone or offset the carrier gave; null: it gave none.';
comment on column bookpost.tracking_events.is_date_only is 'The carrier gave a day and no time of day.';
comment on column bookpost.tracking_events.raw_time is 'The carrier''s own text.';
comment on column bookpost.tracking_events.status is 'The stage this scan tells of; null: none (a photo, a changed date), or a code not in our table.';
comment on column bookpost.tracking_events.raw_code is 'The carrier''s own code.';
comment on column bookpost.tracking_events.is_code_listed is 'False: the carrier used a code we do not know; it changed nothing and is listed for a person.';
comment on column bookpost.tracking_events.description is 'The carrier''s own words.';
comment on column bookpost.tracking_events.location is 'Where, in the carrier''s words.';
comment on column bookpost.tracking_events.country_code is 'Where: the carrier''s code of the country, mostly ISO 3166-1 alpha-2.';
comment on column bookpost.tracking_events.reason_code is 'The carrier''s code for what is wrong.';
comment on column bookpost.tracking_events.is_action_required is 'The carrier waits for the recipient.';
comment on column bookpost.tracking_events.sort_at is 'The order of scans: the instant, or the local time read as UTC and lifted to the scan before it where the carrier lists it later.';
comment on column bookpost.tracking_events.sort_rank is 'Its place in the carrier''s own list, oldest first; it orders scans with the same sort_at.';
comment on column bookpost.tracking_events.first_seen_at is 'When bookpost learnt of it.';
grant select on bookpost.tracking_events to bookpost_member;
grant select on bookpost.tracking_events to bookpost_operator;
grant delete, insert, select, update on bookpost.tracking_events to bookpost_worker;

create table bookpost.tracking_links (
  id uuid default gen_random_uuid() not null,
  book_id uuid not null,
  parcel_id uuid not null,
  owner_id uuid not null,
  created_at timestamp with time zone default now() not null,
  expires_at timestamp with time zone not null,
  revoked_at timestamp with time zone,
  constraint tracking_links_pkey PRIMARY KEY (id),
  constraint tracking_links_belong_to_the_books_owner FOREIGN KEY (book_id, owner_id) REFERENCES bookpost.books(id, owner_id) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint tracking_links_show_a_parcel_of_the_book FOREIGN KEY (book_id, parcel_id) REFERENCES bookpost.parcel_books(book_id, parcel_id) ON DELETE CASCADE,
  constraint tracking_links_expire_within_a_year CHECK (((expires_at > created_at) AND (expires_at <= (created_at + '8784:00:00'::interval))))
);
CREATE INDEX tracking_links_book_id_created_at_idx ON bookpost.tracking_links USING btree (book_id, created_at DESC, id);
alter table bookpost.tracking_links enable row level security;
alter table bookpost.tracking_links force row level security;
create policy member_sees_her_own on bookpost.tracking_links for select to bookpost_member using ((owner_id = ( SELECT bookpost.current_user_id() AS current_user_id)));
create policy operator_sees_all on bookpost.tracking_links for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.tracking_links for all to bookpost_worker using (true) with check (true);
comment on table bookpost.tracking_links is 'Public pages of parcels: who has a link''s token sees where that one parcel is, and nothing else. The token itself is shown once, when the link is made, and kept nowhere.';
comment on column bookpost.tracking_links.book_id is 'The book that was shared; the page does not name it.';
comment on column bookpost.tracking_links.parcel_id is 'The parcel that the page shows.';
comment on column bookpost.tracking_links.owner_id is 'Whose book it is. With a new owner the link is hers: she sees it, and can end it.';
comment on column bookpost.tracking_links.created_at is 'When it was made.';
comment on column bookpost.tracking_links.expires_at is 'Until when it works; a year at most.';
comment on column bookpost.tracking_links.revoked_at is 'Since when it no longer works, because somebody ended it; null: nobody has.';
grant select on bookpost.tracking_links to bookpost_member;
grant select on bookpost.tracking_links to bookpost_operator;
grant delete, insert, select, update on bookpost.tracking_links to bookpost_worker;

create table bookpost.users (
  id uuid default gen_random_uuid() not null,
  app_user_id text,
  name text,
  email text,
  phone_number text,
  phone_verified_at timestamp with time zone,
  language text default 'en'::text not null,
  time_zone text default 'UTC'::text not null,
  quiet_from time without time zone,
  quiet_until time without time zone,
  is_email_wanted boolean default true not null,
  is_sms_wanted boolean default false not null,
  email_opted_out_at timestamp with time zone,
  sms_opted_out_at timestamp with time zone,
  email_refused_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  constraint users_pkey PRIMARY KEY (id),
  constraint users_app_user_id_is_unique UNIQUE (app_user_id),
  constraint users_email_has_one_at CHECK (((length(email) <= 254) AND (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'::text))),
  constraint users_language_is_a_tag CHECK (((language COLLATE "C") ~ '^[a-z]{2,3}(-[A-Z]{2})?$'::text)),
  constraint users_name_is_short CHECK ((length(name) <= 200)),
  constraint users_phone_number_is_e164 CHECK (((phone_number COLLATE "C") ~ '^\+[1-9][0-9]{1,14}$'::text)),
  constraint users_quiet_hours_have_both_ends CHECK ((((quiet_from IS NULL) = (quiet_until IS NULL)) AND (quiet_from <> quiet_until))),
  constraint users_time_zone_is_known CHECK ((('2000-01-01 00:00:00+00'::timestamp with time zone AT TIME ZONE time_zone) IS NOT NULL)),
  constraint users_verified_number_is_there CHECK (((phone_verified_at IS NULL) OR (phone_number IS NOT NULL)))
);
alter table bookpost.users enable row level security;
alter table bookpost.users force row level security;
create policy member_sees_herself on bookpost.users for select to bookpost_member using ((id = ( SELECT bookpost.current_user_id() AS current_user_id)));
create policy operator_sees_all on bookpost.users for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.users for all to bookpost_worker using (true) with check (true);
CREATE TRIGGER _100_forget_address BEFORE UPDATE OF phone_number, email ON bookpost.users FOR EACH ROW EXECUTE FUNCTION bookpost_private.tg_users__forget_address();
comment on table bookpost.users is 'Someone who is told where books are: a collector, a dealer, or a dealer''s customer.';
comment on column bookpost.users.app_user_id is 'The app''s own id of this person; unique, free of meaning to bookpost.';
comment on column bookpost.users.name is 'As the app shows it.';
comment on column bookpost.users.email is 'Where mail goes; null: none.';
comment on column bookpost.users.phone_number is 'In international form (E.164), such as +442079460123; anything else is refused.';
comment on column bookpost.users.phone_verified_at is 'When a code sent to phone_number came back, or the app itself had verified it; null: no text message is sent there. A new number is not verified.';
comment on column bookpost.users.language is 'In which messages are written, as a language tag such as en or pt-BR; English where it is not to be had.';
comment on column bookpost.users.time_zone is 'IANA name such as Europe/London: the zone in which times are shown to this person.';
comment on column bookpost.users.quiet_from is 'From this hour, in her own time zone, no email or text message is sent until quiet_until; both null: at any hour.';
comment on column bookpost.users.quiet_until is 'The end of the quiet hours; before quiet_from it is on the next day.';
comment on column bookpost.users.is_email_wanted is 'Wants email; what the app has set. email_opted_out_at outranks it.';
comment on column bookpost.users.is_sms_wanted is 'Wants text messages. Off until the number has been verified, which sets it; sms_opted_out_at outranks it.';
comment on column bookpost.users.email_opted_out_at is 'When she said no to email herself, by a message''s link. The app cannot overrule it; it ends by her own word (opt_in).';
comment on column bookpost.users.sms_opted_out_at is 'When she said no to text messages herself, by STOP; ends by her own word (opt_in), and with the number.';
comment on column bookpost.users.email_refused_at is 'When her mail server said that this address does not exist; nothing is sent there until it is changed or she opts in again.';
grant select on bookpost.users to bookpost_member;
grant select on bookpost.users to bookpost_operator;
grant delete, insert, select, update on bookpost.users to bookpost_worker;

create table bookpost.webhook_endpoints (
  id uuid default gen_random_uuid() not null,
  user_id uuid,
  url text not null,
  description text,
  created_at timestamp with time zone default now() not null,
  disabled_at timestamp with time zone,
  disabled_reason text,
  constraint webhook_endpoints_pkey PRIMARY KEY (id),
  constraint webhook_endpoints_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookpost.users(id) ON DELETE CASCADE,
  constraint webhook_endpoints_description_is_short CHECK ((length(description) <= 200)),
  constraint webhook_endpoints_disabled_reason_is_known CHECK ((disabled_reason = ANY (ARRAY['gone'::text, 'failing'::text, 'by_hand'::text]))),
  constraint webhook_endpoints_disabling_has_a_reason CHECK (((disabled_at IS NULL) = (disabled_reason IS NULL))),
  constraint webhook_endpoints_url_is_http CHECK (((url ~ '^https?://[^[:space:]@/]+(/[^[:space:]]*)?$'::text) AND (length(url) <= 2000)))
);
CREATE INDEX webhook_endpoints_user_id_idx ON bookpost.webhook_endpoints USING btree (user_id);
alter table bookpost.webhook_endpoints enable row level security;
alter table bookpost.webhook_endpoints force row level security;
create policy member_sees_her_own on bookpost.webhook_endpoints for select to bookpost_member using ((user_id = ( SELECT bookpost.current_user_id() AS current_user_id)));
create policy operator_sees_all on bookpost.webhook_endpoints for select to bookpost_operator using (true);
create policy worker_does_all on bookpost.webhook_endpoints for all to bookpost_worker using (true) with check (true);
comment on table bookpost.webhook_endpoints is 'Where an app hears of news by HTTP (Standard Webhooks).';
comment on column bookpost.webhook_endpoints.user_id is 'Whose news; null: everyone''s, for an app that serves them all.';
comment on column bookpost.webhook_endpoints.url is 'https; http only to a network that WEBHOOK_ALLOWED_NETWORKS names.';
comment on column bookpost.webhook_endpoints.description is 'What it is, in its owner''s words.';
comment on column bookpost.webhook_endpoints.disabled_at is 'Since when nothing is sent there; null: it is in use.';
comment on column bookpost.webhook_endpoints.disabled_reason is 'gone: it answered 410; failing: a message could not be delivered in ten attempts over three days, and no other was meanwhile; by_hand: a person''s word.';
grant select on bookpost.webhook_endpoints to bookpost_member;
grant select on bookpost.webhook_endpoints to bookpost_operator;
grant delete, insert, select, update on bookpost.webhook_endpoints to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.add_webhook(url text, person uuid DEFAULT NULL::uuid, description text DEFAULT NULL::text)
 RETURNS TABLE(endpoint_id uuid, secret text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
begin
  if coalesce(add_webhook.url, '') !~ '^https?://[^[:space:]@/]+(/[^[:space:]]*)?$' or length(add_webhook.url) > 2000 then
    raise exception 'A webhook needs an http(s) address without user and password; "%" is none.', left(coalesce(add_webhook.url, ''), 100) using errcode = 'BP400';
  end if;
  if add_webhook.person is not null and not exists (select from bookpost.users u where u.id = add_webhook.person) then
    raise exception 'There is no user %.', add_webhook.person using errcode = 'BP404';
  end if;
  secret := bookpost_private.make_secret();
  insert into bookpost.webhook_endpoints (url, user_id, description)
  values (add_webhook.url, add_webhook.person, add_webhook.description)
  returning id into endpoint_id;
  insert into bookpost_private.webhook_secrets (endpoint_id, secret) values (endpoint_id, secret);
  return next;
end;
$function$;
comment on function bookpost.add_webhook(text,uuid,text) is 'Registers an endpoint for one person''s news, or everyone''s where none is named. Returns its id and the secret that messages are signed with: shown this once. Raises BP400 for what is no address, BP404 for an unknown person.';
grant execute on function bookpost.add_webhook(text,uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.books_current_parcel(book bookpost.books)
 RETURNS SETOF bookpost.parcels
 LANGUAGE sql
 STABLE ROWS 1
BEGIN ATOMIC
 SELECT p.id,
     p.carrier_code,
     p.tracking_number,
     p.tracking_url,
     p.sent_on,
     p.status,
     p.status_version,
     p.status_changed_at,
     p.notice_version,
     p.raw_status,
     p.raw_text,
     p.reason_code,
     p.is_action_required,
     p.is_return,
     p.estimated_from,
     p.estimated_until,
     p.estimated_time_zone,
     p.first_estimated_from,
     p.first_estimated_until,
     p.is_estimate_a_date,
     p.told_estimated_until,
     p.delivered_at,
     p.delivered_local_time,
     p.delivered_time_zone,
     p.signed_by,
     p.created_at,
     p.closed_at,
     p.closed_reason,
     p.overdue_at
    FROM (bookpost.parcel_books pb
      JOIN bookpost.parcels p ON ((p.id = pb.parcel_id)))
   WHERE (pb.book_id = (books_current_parcel.book).id)
   ORDER BY ((pb.stopped_at IS NULL) AND (p.closed_at IS NULL)) DESC, pb.started_at DESC, pb.parcel_id
  LIMIT 1;
END;
comment on function bookpost.books_current_parcel(bookpost.books) is 'The parcel it is in now: the live one, else the latest; null: none yet.';
grant execute on function bookpost.books_current_parcel(bookpost.books) to bookpost_member;
grant execute on function bookpost.books_current_parcel(bookpost.books) to bookpost_operator;
grant execute on function bookpost.books_current_parcel(bookpost.books) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.changes_since(after text, first integer)
 RETURNS TABLE(changes jsonb, end_cursor text, has_next_page boolean)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
      if after collate "C" !~ '^[A-Za-z0-9_-]+$' then
        raise exception using errcode = 'invalid_text_representation';
      end if;
      v_parts := string_to_array(
        convert_from(decode(translate(after, '-_', '+/') || repeat('=', (4 - length(after) % 4) % 4), 'base64'), 'UTF8'), '|'
      );
      v_from := v_parts[2]::pg_snapshot;
      if array_length(v_parts, 1) = 5 then
        -- Before Postgres 16 anything is an xid8.
        if v_parts[4] collate "C" !~ '^[0-9]{1,19}$' then
          raise exception using errcode = 'invalid_text_representation';
        end if;
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
  -- What is older was visible to the cursor. Ids begin with 1.
  if v_xid < pg_snapshot_xmin(v_from) then
    v_xid := pg_snapshot_xmin(v_from);
    v_id := 0;
  end if;

  select coalesce(array_agg(c order by c.xid, c.id), '{}') into v_rows
  from (
    select c.* from bookpost.changes c
    -- One lower bound and no second: with `xid >= …` beside it the index was read from its beginning (measured: 300,000
    -- changes, nothing new, 14 ms in place of 1).
    where (c.xid, c.id) > (v_xid, v_id) and c.xid < pg_snapshot_xmax(v_to)
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
$function$;
comment on function bookpost.changes_since(text,integer) is 'The changes after a cursor that its reader may see, first of them: in one row the changes as a JSON array, the cursor to go on from (there even where nothing is new), and whether there are more. None is left out and none told twice, whatever is committed meanwhile and however late; on a standby a change may wait for the end of an older transaction. Without a cursor: all that is kept. Raises BP400 for what is no cursor and no page size, BP410 for a cursor that cannot be gone on from.';
grant execute on function bookpost.changes_since(text,integer) to bookpost_member;
grant execute on function bookpost.changes_since(text,integer) to bookpost_operator;
grant execute on function bookpost.changes_since(text,integer) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.correct_tracking_number(book uuid, tracking_number text, carrier text DEFAULT NULL::text)
 RETURNS bookpost.books
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.correct_tracking_number(uuid,text,text) is 'The book travels under another number, with another carrier where one is named: it moves to that parcel, and the former one is closed by the next sweep where nobody else waits for it. What it was told of the former stays; the owner''s own link does not, since it led to the former number. The same number again changes nothing. A second caller waits for the first, and its number counts. Raises BP404 for an unknown book, BP400 for what can be no number, an unknown carrier, a book in no parcel.';
grant execute on function bookpost.correct_tracking_number(uuid,text,text) to bookpost_member;
grant execute on function bookpost.correct_tracking_number(uuid,text,text) to bookpost_operator;
grant execute on function bookpost.correct_tracking_number(uuid,text,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.current_user_id()
 RETURNS uuid
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (NULLIF(current_setting('bookpost.user_id'::text, true), ''::text))::uuid;
comment on function bookpost.current_user_id() is 'The signed-in user of this transaction (setting bookpost.user_id); null when nobody is.';
grant execute on function bookpost.current_user_id() to bookpost_member;
grant execute on function bookpost.current_user_id() to bookpost_operator;
grant execute on function bookpost.current_user_id() to bookpost_visitor;
grant execute on function bookpost.current_user_id() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.disable_webhook(endpoint uuid)
 RETURNS bookpost.webhook_endpoints
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_endpoint bookpost.webhook_endpoints;
begin
  perform bookpost_private.disable_endpoint(disable_webhook.endpoint, 'by_hand');
  select e.* into v_endpoint from bookpost.webhook_endpoints e where e.id = disable_webhook.endpoint;
  if not found then
    raise exception 'There is no webhook %.', disable_webhook.endpoint using errcode = 'BP404';
  end if;
  return v_endpoint;
end;
$function$;
comment on function bookpost.disable_webhook(uuid) is 'Sends nothing more to an endpoint until enable_webhook. Raises BP404.';
grant execute on function bookpost.disable_webhook(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.enable_webhook(endpoint uuid)
 RETURNS bookpost.webhook_endpoints
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_endpoint bookpost.webhook_endpoints;
begin
  update bookpost.webhook_endpoints e set disabled_at = null, disabled_reason = null where e.id = enable_webhook.endpoint returning e.* into v_endpoint;
  if not found then
    raise exception 'There is no webhook %.', enable_webhook.endpoint using errcode = 'BP404';
  end if;
  return v_endpoint;
end;
$function$;
comment on function bookpost.enable_webhook(uuid) is 'Sends to an endpoint again, from the next news on; what died meanwhile is brought back by retry_delivery. Raises BP404.';
grant execute on function bookpost.enable_webhook(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.encode_cursor(VARIADIC parts text[])
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT translate(encode(convert_to(array_to_string(parts, '|'::text), 'UTF8'::name), 'base64'::text), '+/=
'::text, '-_'::text) AS translate;
END;
comment on function bookpost.encode_cursor(text[]) is 'A cursor''s text. Parts: the history, the snapshot up to which all is read; within a page also the one up to which it reads, and the last change''s xid and id.';
grant execute on function bookpost.encode_cursor(text[]) to bookpost_member;
grant execute on function bookpost.encode_cursor(text[]) to bookpost_operator;
grant execute on function bookpost.encode_cursor(text[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.history_id()
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT ((( SELECT s.system_identifier
            FROM pg_control_system() s(pg_control_version, catalog_version_no, system_identifier, pg_control_last_modified)) || '.'::text) ||
         CASE
             WHEN pg_is_in_recovery() THEN (GREATEST(( SELECT c.timeline_id
                FROM pg_control_checkpoint() c(checkpoint_lsn, redo_lsn, redo_wal_file, timeline_id, prev_timeline_id, full_page_writes, next_xid, next_oid, next_multixact_id, next_multi_offset, oldest_xid, oldest_xid_dbid, oldest_active_xid, oldest_multi_xid, oldest_multi_dbid, oldest_commit_ts_xid, newest_commit_ts_xid, checkpoint_time)), ( SELECT r.min_recovery_end_timeline
                FROM pg_control_recovery() r(min_recovery_end_lsn, min_recovery_end_timeline, backup_start_lsn, backup_end_lsn, end_of_backup_record_required))))::text
             ELSE (((('x'::text || "left"(pg_walfile_name(pg_current_wal_lsn()), 8)))::bit(32))::integer)::text
         END);
END;
comment on function bookpost.history_id() is 'Names the history to which transaction ids belong: the server''s own number and its timeline, which a promotion raises. After a restored dump, a failover or a recovery to a point in time it is another.';
grant execute on function bookpost.history_id() to bookpost_member;
grant execute on function bookpost.history_id() to bookpost_operator;
grant execute on function bookpost.history_id() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.latest_cursor()
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT bookpost.encode_cursor(VARIADIC ARRAY[bookpost.history_id(), (bookpost.present_snapshot())::text]) AS encode_cursor;
END;
comment on function bookpost.latest_cursor() is 'The cursor of now: ask for it first, then read what you keep, then ask for the changes after it.';
grant execute on function bookpost.latest_cursor() to bookpost_member;
grant execute on function bookpost.latest_cursor() to bookpost_operator;
grant execute on function bookpost.latest_cursor() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.mark_book(book uuid, status text, reason text)
 RETURNS bookpost.books
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.mark_book(uuid,text,text) is 'A person says where a book is: for parcels of carriers that nobody can be asked about, or when the carrier is wrong. status: a stage, or lost, which is the stage exception with the reason code lost. Kept as a scan (raw code by_hand) with the reason; owners are told as of any other. A member speaks for herself: where others see the parcel too, or join it later, her books in it get a closed copy of it, and the others learn nothing. Said twice it is two scans. Raises BP404 for an unknown book, BP400 for what makes no sense.';
grant execute on function bookpost.mark_book(uuid,text,text) to bookpost_member;
grant execute on function bookpost.mark_book(uuid,text,text) to bookpost_operator;
grant execute on function bookpost.mark_book(uuid,text,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.mark_notifications_read(ids uuid[] DEFAULT NULL::uuid[], up_to timestamp with time zone DEFAULT NULL::timestamp with time zone, person uuid DEFAULT NULL::uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.mark_notifications_read(uuid[],timestamp with time zone,uuid) is 'A person has read notifications: those of these ids, or all until a moment (that one included). Others'' ids and those read already count for nothing. Returns how many became read. Left out, the person is who is signed in. Of two calls at once the second waits and counts what the first has left. Raises BP404 for an unknown person, BP400 unless exactly one of ids and up_to is given.';
grant execute on function bookpost.mark_notifications_read(uuid[],timestamp with time zone,uuid) to bookpost_member;
grant execute on function bookpost.mark_notifications_read(uuid[],timestamp with time zone,uuid) to bookpost_operator;
grant execute on function bookpost.mark_notifications_read(uuid[],timestamp with time zone,uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.normalize_tracking_number(tracking_number text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN upper(regexp_replace(tracking_number, '[[:space:]-]+'::text, ''::text, 'g'::text));
comment on function bookpost.normalize_tracking_number(text) is 'The form in which numbers are stored and compared: upper case, without spaces and hyphens.';
grant execute on function bookpost.normalize_tracking_number(text) to bookpost_member;
grant execute on function bookpost.normalize_tracking_number(text) to bookpost_operator;
grant execute on function bookpost.normalize_tracking_number(text) to bookpost_visitor;
grant execute on function bookpost.normalize_tracking_number(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.opt_in(person uuid, channel text)
 RETURNS bookpost.users
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_person bookpost.users := bookpost_private.own_user(opt_in.person);
begin
  if opt_in.channel is null or opt_in.channel not in ('email', 'sms') then
    raise exception 'One opts in to email or sms, not to "%".', coalesce(opt_in.channel, '') using errcode = 'BP400';
  end if;
  update bookpost.users u set
    email_opted_out_at = case when opt_in.channel <> 'email' then u.email_opted_out_at end,
    email_refused_at = case when opt_in.channel <> 'email' then u.email_refused_at end,
    is_email_wanted = u.is_email_wanted or opt_in.channel = 'email',
    sms_opted_out_at = case when opt_in.channel <> 'sms' then u.sms_opted_out_at end,
    -- Off until the number is verified, which turns it on.
    is_sms_wanted = u.is_sms_wanted or (opt_in.channel = 'sms' and u.phone_verified_at is not null)
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$function$;
comment on function bookpost.opt_in(uuid,text) is 'The person herself wants email or sms (again): ends her opting out, and the refusal of her address. Left out (null), the person is who is signed in. Raises BP404 for an unknown person, BP400 for another channel.';
grant execute on function bookpost.opt_in(uuid,text) to bookpost_member;
grant execute on function bookpost.opt_in(uuid,text) to bookpost_operator;
grant execute on function bookpost.opt_in(uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.opt_out(person uuid, channel text)
 RETURNS bookpost.users
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_person bookpost.users := bookpost_private.own_user(opt_out.person);
begin
  if opt_out.channel is null or opt_out.channel not in ('email', 'sms') then
    raise exception 'One opts out of email or sms, not of "%".', coalesce(opt_out.channel, '') using errcode = 'BP400';
  end if;
  update bookpost.users u set
    email_opted_out_at = case when opt_out.channel = 'email' then coalesce(u.email_opted_out_at, clock_timestamp()) else u.email_opted_out_at end,
    sms_opted_out_at = case when opt_out.channel = 'sms' then coalesce(u.sms_opted_out_at, clock_timestamp()) else u.sms_opted_out_at end
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$function$;
comment on function bookpost.opt_out(uuid,text) is 'The person herself wants no more email or sms; counts from the next message on, also for those that wait. Left out (null), the person is who is signed in. Said twice, the first word counts. Raises BP404 for an unknown person, BP400 for another channel.';
grant execute on function bookpost.opt_out(uuid,text) to bookpost_member;
grant execute on function bookpost.opt_out(uuid,text) to bookpost_operator;
grant execute on function bookpost.opt_out(uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.parcels_did_last_look_work(parcel bookpost.parcels)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
BEGIN ATOMIC
 SELECT (o.circuit_effect = 'success'::text)
    FROM (bookpost_private.checks c
      JOIN bookpost_private.lookup_outcomes o ON ((o.outcome = c.last_outcome)))
   WHERE (c.parcel_id = (parcels_did_last_look_work.parcel).id);
END;
comment on function bookpost.parcels_did_last_look_work(bookpost.parcels) is 'Whether the carrier answered when it was last asked; null: not asked yet.';
grant execute on function bookpost.parcels_did_last_look_work(bookpost.parcels) to bookpost_member;
grant execute on function bookpost.parcels_did_last_look_work(bookpost.parcels) to bookpost_operator;
grant execute on function bookpost.parcels_did_last_look_work(bookpost.parcels) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.parcels_is_overdue(parcel bookpost.parcels)
 RETURNS boolean
 LANGUAGE sql
 STABLE
RETURN COALESCE(((parcel).overdue_at <= now()), false);
comment on function bookpost.parcels_is_overdue(bookpost.parcels) is 'Whether it is on its way still though its latest expected delivery has passed: overdueAt has come. It comes by the clock, so no change tells of it.';
grant execute on function bookpost.parcels_is_overdue(bookpost.parcels) to bookpost_member;
grant execute on function bookpost.parcels_is_overdue(bookpost.parcels) to bookpost_operator;
grant execute on function bookpost.parcels_is_overdue(bookpost.parcels) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.parcels_last_looked_at(parcel bookpost.parcels)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
BEGIN ATOMIC
 SELECT c.last_looked_at
    FROM bookpost_private.checks c
   WHERE (c.parcel_id = (parcels_last_looked_at.parcel).id);
END;
comment on function bookpost.parcels_last_looked_at(bookpost.parcels) is 'When the carrier was last asked.';
grant execute on function bookpost.parcels_last_looked_at(bookpost.parcels) to bookpost_member;
grant execute on function bookpost.parcels_last_looked_at(bookpost.parcels) to bookpost_operator;
grant execute on function bookpost.parcels_last_looked_at(bookpost.parcels) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.parcels_next_look_at(parcel bookpost.parcels)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
BEGIN ATOMIC
 SELECT c.next_check_at
    FROM bookpost_private.checks c
   WHERE (c.parcel_id = (parcels_next_look_at.parcel).id);
END;
comment on function bookpost.parcels_next_look_at(bookpost.parcels) is 'When the carrier is asked next; null: not at all.';
grant execute on function bookpost.parcels_next_look_at(bookpost.parcels) to bookpost_member;
grant execute on function bookpost.parcels_next_look_at(bookpost.parcels) to bookpost_operator;
grant execute on function bookpost.parcels_next_look_at(bookpost.parcels) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.parcels_tracking_page(parcel bookpost.parcels)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
BEGIN ATOMIC
 SELECT COALESCE((parcels_tracking_page.parcel).tracking_url, ( SELECT pb.tracking_url
            FROM bookpost.parcel_books pb
           WHERE ((pb.parcel_id = (parcels_tracking_page.parcel).id) AND (pb.tracking_url IS NOT NULL))
           ORDER BY pb.started_at DESC, pb.book_id
          LIMIT 1), replace(c.tracking_page, '{number}'::text, (parcels_tracking_page.parcel).tracking_number)) AS "coalesce"
    FROM bookpost.carriers c
   WHERE (c.code = (parcels_tracking_page.parcel).carrier_code);
END;
comment on function bookpost.parcels_tracking_page(bookpost.parcels) is 'The public page of this parcel: the one its carrier named, else the owner''s own link, else the carrier''s usual page.';
grant execute on function bookpost.parcels_tracking_page(bookpost.parcels) to bookpost_member;
grant execute on function bookpost.parcels_tracking_page(bookpost.parcels) to bookpost_operator;
grant execute on function bookpost.parcels_tracking_page(bookpost.parcels) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.present_snapshot(below xid8 DEFAULT '0'::xid8)
 RETURNS pg_snapshot
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT (((((LEAST(pg_snapshot_xmin(s.raw), s.bound) || ':'::text) ||
         CASE
             WHEN pg_is_in_recovery() THEN LEAST(pg_snapshot_xmin(s.raw), s.bound)
             ELSE LEAST(pg_snapshot_xmax(s.raw), s.bound)
         END) || ':'::text) ||
         CASE
             WHEN pg_is_in_recovery() THEN ''::text
             ELSE COALESCE(( SELECT string_agg((x.x)::text, ','::text ORDER BY x.x) AS string_agg
                FROM pg_snapshot_xip(s.raw) x(x)
               WHERE (x.x < s.bound)), ''::text)
         END))::pg_snapshot AS pg_snapshot
    FROM ( SELECT pg_current_snapshot() AS raw,
             GREATEST((((((bookpost.told_through())::text)::bigint + 1))::text)::xid8, present_snapshot.below, '3'::xid8) AS bound) s;
END;
comment on function bookpost.present_snapshot(xid8) is 'Which transactions count as read by whoever reads all changes in this statement: the visible ones up to the last that has told a change, or, where that is higher, those below the given id (of a cursor, which was given out by the same rule).';
grant execute on function bookpost.present_snapshot(xid8) to bookpost_member;
grant execute on function bookpost.present_snapshot(xid8) to bookpost_operator;
grant execute on function bookpost.present_snapshot(xid8) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.pruned_through()
 RETURNS xid8
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT h.pruned_through
    FROM bookpost_private.change_horizon h;
END;
comment on function bookpost.pruned_through() is 'Up to which transaction changes have been removed for their age; of those after it none has.';
grant execute on function bookpost.pruned_through() to bookpost_member;
grant execute on function bookpost.pruned_through() to bookpost_operator;
grant execute on function bookpost.pruned_through() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.refresh_book(book uuid)
 RETURNS bookpost.books
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.refresh_book(uuid) is 'Asks for a look now, within the carrier''s limits (min_check_interval, calls_per_parcel_per_day), and opens a closed or set-aside parcel again. A second caller waits for the first, and gets the same look. Raises BP404 for an unknown book, BP400 when nobody can be asked, BP409 when the number has passed to a newer parcel; a member''s book joins that one, and a set-aside parcel stays so for her (BP409).';
grant execute on function bookpost.refresh_book(uuid) to bookpost_member;
grant execute on function bookpost.refresh_book(uuid) to bookpost_operator;
grant execute on function bookpost.refresh_book(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.request_phone_verification(person uuid)
 RETURNS uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  v_now timestamptz := clock_timestamp();
  v_person bookpost.users := bookpost_private.own_user(request_phone_verification.person);
  v_id uuid;
begin
  if v_person.phone_number is null then
    raise exception 'User % has no phone number to verify.', v_person.id using errcode = 'BP400';
  end if;
  if v_person.phone_verified_at is not null then
    raise exception 'The phone number of user % is verified already.', v_person.id using errcode = 'BP409';
  end if;
  if v_person.sms_opted_out_at is not null then
    raise exception 'User % has opted out of text messages by STOP: only START from that phone, and opt_in, end it.', v_person.id using errcode = 'BP409';
  end if;
  if not (select c.is_configured from bookpost_private.channels c where c.channel = 'sms') then
    raise exception 'No worker can send text messages.' using errcode = 'BP409', hint = 'Set SMS_PROVIDER and its credentials, and start a worker.';
  end if;
  insert into bookpost_private.phone_verifications as p (user_id, phone_number) values (v_person.id, v_person.phone_number)
  -- A second request of this person at the same time waits here, and counts.
  on conflict (user_id) do update set
    phone_number = excluded.phone_number,
    code_hash = case when p.phone_number = excluded.phone_number then p.code_hash end,
    tries = case when p.phone_number = excluded.phone_number then p.tries else 0 end;
  -- So does one of another person for this number or its neighbours.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('bookpost.code:' || left(v_person.phone_number, -3), 0));
  -- Who has codes sent to numbers of a friend's network is paid for them (pumping): 3 an hour and 10 a day for each person,
  -- whatever her number is; 10 a day for each number, whoever asks; 30 a day for numbers alike but for the last three digits
  -- (chosen).
  if exists (
    select
    from (
      select
        count(*) filter (where r.user_id = v_person.id and r.requested_at > v_now - interval '1 hour') as by_person_hour,
        count(*) filter (where r.user_id = v_person.id) as by_person,
        count(*) filter (where r.phone_number = v_person.phone_number) as to_number,
        count(*) filter (where left(r.phone_number, -3) = left(v_person.phone_number, -3)) as to_block
      from bookpost_private.code_requests r
      where r.requested_at > v_now - interval '1 day'
        and (r.user_id = v_person.id or left(r.phone_number, -3) = left(v_person.phone_number, -3))
    ) n
    where n.by_person_hour >= 3 or n.by_person >= 10 or n.to_number >= 10 or n.to_block >= 30
  ) then
    raise exception 'Too many codes were asked for: 3 an hour and 10 a day are sent.' using errcode = 'BP409';
  end if;
  insert into bookpost_private.code_requests (user_id, phone_number) values (v_person.id, v_person.phone_number);
  insert into bookpost_private.deliveries (user_id, channel, kind) values (v_person.id, 'sms', 'verification') returning id into v_id;
  perform bookpost_private.add_delivery_jobs(array[v_id]);
  return v_id;
end;
$function$;
comment on function bookpost.request_phone_verification(uuid) is 'Sends a code to the person''s phone number, to be given back to verify_phone_number within 10 minutes. Returns the message''s id. Left out (null), the person is who is signed in. Raises BP404 for an unknown person, BP400 without a number, BP409 where it is verified already, where she has opted out, where no worker can send, and for too many.';
grant execute on function bookpost.request_phone_verification(uuid) to bookpost_member;
grant execute on function bookpost.request_phone_verification(uuid) to bookpost_operator;
grant execute on function bookpost.request_phone_verification(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.revoke_tracking_link(link uuid)
 RETURNS bookpost.tracking_links
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.revoke_tracking_link(uuid) is 'Ends a public link at once and for good. Said again it changes nothing. Raises BP404 for an unknown link or another owner''s.';
grant execute on function bookpost.revoke_tracking_link(uuid) to bookpost_member;
grant execute on function bookpost.revoke_tracking_link(uuid) to bookpost_operator;
grant execute on function bookpost.revoke_tracking_link(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.rotate_webhook_secret(endpoint uuid, overlap interval DEFAULT '24:00:00'::interval)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_secret text := bookpost_private.make_secret();
begin
  -- A second rotation at the same time waits here.
  perform 1 from bookpost.webhook_endpoints e where e.id = rotate_webhook_secret.endpoint for no key update;
  if not found then
    raise exception 'There is no webhook %.', rotate_webhook_secret.endpoint using errcode = 'BP404';
  end if;
  if rotate_webhook_secret.overlap not between interval '0' and interval '30 days' then
    raise exception 'The old secret may live on for 30 days at most, not for %.', rotate_webhook_secret.overlap using errcode = 'BP400';
  end if;
  delete from bookpost_private.webhook_secrets s where s.endpoint_id = rotate_webhook_secret.endpoint and s.ends_at < clock_timestamp();
  -- Those of former rotations as well: with an overlap of nothing, a secret that leaked signs no more, however it came to be old.
  update bookpost_private.webhook_secrets s set ends_at = least(s.ends_at, clock_timestamp() + rotate_webhook_secret.overlap)
  where s.endpoint_id = rotate_webhook_secret.endpoint;
  insert into bookpost_private.webhook_secrets (endpoint_id, secret) values (rotate_webhook_secret.endpoint, v_secret);
  return v_secret;
end;
$function$;
comment on function bookpost.rotate_webhook_secret(uuid,interval) is 'A new secret for an endpoint, returned this once; messages are signed with the old one as well until the overlap is over. Raises BP404, BP400.';
grant execute on function bookpost.rotate_webhook_secret(uuid,interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.set_contact(person uuid, changes jsonb)
 RETURNS bookpost.users
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_person bookpost.users := bookpost_private.own_user(set_contact.person);
begin
  perform bookpost_private.require_keys(changes, array['name', 'email', 'phone_number']);
  update bookpost.users u set (name, email, phone_number) =
    (select n.name, n.email, n.phone_number from jsonb_populate_record(u, changes) n)
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$function$;
comment on function bookpost.set_contact(uuid,jsonb) is 'What a person is called and how she is reached: name, email, phone_number (E.164); what is not named stays, null takes away. A new number is not verified. Left out (null), the person is who is signed in. Of two calls at once the second waits, and its word counts. Raises BP404 for an unknown person, BP400 for another key; what breaks a rule is refused by its constraint.';
grant execute on function bookpost.set_contact(uuid,jsonb) to bookpost_member;
grant execute on function bookpost.set_contact(uuid,jsonb) to bookpost_operator;
grant execute on function bookpost.set_contact(uuid,jsonb) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.set_notification_preferences(person uuid, changes jsonb)
 RETURNS bookpost.users
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_person bookpost.users := bookpost_private.own_user(set_notification_preferences.person);
begin
  perform bookpost_private.require_keys(
    changes, array['is_email_wanted', 'is_sms_wanted', 'language', 'time_zone', 'quiet_from', 'quiet_until']
  );
  update bookpost.users u set (is_email_wanted, is_sms_wanted, language, time_zone, quiet_from, quiet_until) = (
    select n.is_email_wanted, n.is_sms_wanted, n.language, n.time_zone, n.quiet_from, n.quiet_until
    from jsonb_populate_record(u, changes) n
  )
  where u.id = v_person.id
  returning u.* into v_person;
  return v_person;
end;
$function$;
comment on function bookpost.set_notification_preferences(uuid,jsonb) is 'How a person wants to be told: is_email_wanted, is_sms_wanted, language, time_zone, quiet_from, quiet_until; what is not named stays. What she has opted out of stays so whatever is wanted here: opt_in ends it. Left out (null), the person is who is signed in. Of two calls at once the second waits, and its word counts. Raises BP404 for an unknown person, BP400 for another key; what breaks a rule is refused by its constraint.';
grant execute on function bookpost.set_notification_preferences(uuid,jsonb) to bookpost_member;
grant execute on function bookpost.set_notification_preferences(uuid,jsonb) to bookpost_operator;
grant execute on function bookpost.set_notification_preferences(uuid,jsonb) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.share_parcel(book uuid, expires_in interval DEFAULT '30 days'::interval)
 RETURNS TABLE(link_id uuid, token text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.share_parcel(uuid,interval) is 'Makes a public link to the parcel that a book is in now. Returns its id and the token that opens it: shown this once. Raises BP404 for an unknown book or another owner''s, BP400 for a book in no parcel and for more than a year, BP409 where 20 links of the book work.';
grant execute on function bookpost.share_parcel(uuid,interval) to bookpost_member;
grant execute on function bookpost.share_parcel(uuid,interval) to bookpost_operator;
grant execute on function bookpost.share_parcel(uuid,interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.shared_parcel(token text)
 RETURNS TABLE(carrier_name text, status text, status_changed_at timestamp with time zone, estimated_from timestamp without time zone, estimated_until timestamp without time zone, estimated_time_zone text, is_estimate_a_date boolean, delivered_at timestamp with time zone, delivered_local_time timestamp without time zone, delivered_time_zone text, last_scan_at timestamp with time zone, last_scan_local_time timestamp without time zone, last_scan_time_zone text, is_last_scan_a_date boolean, last_scan_location text, expires_at timestamp with time zone)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT c.name,
     p.status,
     p.status_changed_at,
     p.estimated_from,
     p.estimated_until,
     p.estimated_time_zone,
     p.is_estimate_a_date,
     p.delivered_at,
     p.delivered_local_time,
     p.delivered_time_zone,
     e.occurred_at,
     e.local_time,
     e.time_zone,
     e.is_date_only,
     e.location,
     l.expires_at
    FROM ((((bookpost_private.tracking_link_tokens t
      JOIN bookpost.tracking_links l ON (((l.id = t.link_id) AND (l.revoked_at IS NULL) AND (l.expires_at > clock_timestamp()))))
      JOIN bookpost.parcels p ON ((p.id = l.parcel_id)))
      JOIN bookpost.carriers c ON ((c.code = p.carrier_code)))
      LEFT JOIN LATERAL ( SELECT x.occurred_at,
             x.local_time,
             x.time_zone,
             x.is_date_only,
             x.location
            FROM bookpost.tracking_events x
           WHERE ((x.parcel_id = p.id) AND (NOT bookpost_private.is_of_earlier_life(x.occurred_at, x.local_time, x.is_date_only, p.sent_on, p.created_at)))
           ORDER BY x.sort_at DESC, x.sort_rank DESC, x.identity DESC
          LIMIT 1) e ON (true))
   WHERE (t.token_hash = sha256(convert_to(shared_parcel.token, 'UTF8'::name)));
END;
comment on function bookpost.shared_parcel(text) is 'Where the parcel of a public link is: its carrier, status, estimate, delivery, and the last scan''s time and place. No row for a token that nobody has, or whose link has expired or was revoked: all three alike.';
grant execute on function bookpost.shared_parcel(text) to bookpost_member;
grant execute on function bookpost.shared_parcel(text) to bookpost_operator;
grant execute on function bookpost.shared_parcel(text) to bookpost_visitor;
grant execute on function bookpost.shared_parcel(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.stop_tracking(book uuid)
 RETURNS bookpost.books
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.stop_tracking(uuid) is 'Ends the tracking of a book for its owner; the parcel goes on while another book in it is tracked. Stopped twice, also by two at once, it is stopped once. Raises BP404 for an unknown book.';
grant execute on function bookpost.stop_tracking(uuid) to bookpost_member;
grant execute on function bookpost.stop_tracking(uuid) to bookpost_operator;
grant execute on function bookpost.stop_tracking(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.told_through()
 RETURNS xid8
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT GREATEST(bookpost.pruned_through(), ( SELECT c.xid
            FROM bookpost.changes c
           WHERE (c.xid < pg_snapshot_xmax(pg_current_snapshot()))
           ORDER BY c.xid DESC
          LIMIT 1)) AS "greatest";
END;
comment on function bookpost.told_through() is 'The last transaction, by id, of which anybody''s change is visible.';
grant execute on function bookpost.told_through() to bookpost_member;
grant execute on function bookpost.told_through() to bookpost_operator;
grant execute on function bookpost.told_through() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.track_book(title text, carrier text, tracking_number text, author text DEFAULT NULL::text, owner uuid DEFAULT NULL::uuid, declared_value numeric DEFAULT NULL::numeric, declared_currency text DEFAULT NULL::text, app_book_id text DEFAULT NULL::text, tracking_url text DEFAULT NULL::text, sent_on date DEFAULT NULL::date)
 RETURNS bookpost.books
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost.track_book(text,text,text,text,uuid,numeric,text,text,text,date) is 'Starts tracking a book: carrier by its code, number as people write it, owner by user id (left out: who is signed in, else the local user). sent_on: the day it was posted; needed only where that is more than two weeks ago, because carriers use numbers again and older scans are taken for another parcel''s; a member''s word on a parcel that others wait for too is not taken. Asked again, also by two at once, it returns the same book; with its app_book_id and another number it moves the book to that parcel. Raises BP400 for what makes no sense, BP404 for an unknown owner; to a member every other is unknown.';
grant execute on function bookpost.track_book(text,text,text,text,uuid,numeric,text,text,text,date) to bookpost_member;
grant execute on function bookpost.track_book(text,text,text,text,uuid,numeric,text,text,text,date) to bookpost_operator;
grant execute on function bookpost.track_book(text,text,text,text,uuid,numeric,text,text,text,date) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.tracking_events_is_of_earlier_life(event bookpost.tracking_events)
 RETURNS boolean
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
BEGIN ATOMIC
 SELECT bookpost_private.is_of_earlier_life((tracking_events_is_of_earlier_life.event).occurred_at, (tracking_events_is_of_earlier_life.event).local_time, (tracking_events_is_of_earlier_life.event).is_date_only, p.sent_on, p.created_at) AS is_of_earlier_life
    FROM bookpost.parcels p
   WHERE (p.id = (tracking_events_is_of_earlier_life.event).parcel_id);
END;
comment on function bookpost.tracking_events_is_of_earlier_life(bookpost.tracking_events) is 'Whether this scan is of an earlier parcel with the same number: then it changed no status and nobody was told. Where it is of this one, say when the parcel was sent (track_book, sent_on).';
grant execute on function bookpost.tracking_events_is_of_earlier_life(bookpost.tracking_events) to bookpost_member;
grant execute on function bookpost.tracking_events_is_of_earlier_life(bookpost.tracking_events) to bookpost_operator;
grant execute on function bookpost.tracking_events_is_of_earlier_life(bookpost.tracking_events) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.unsubscribe(token uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update bookpost.users u set email_opted_out_at = coalesce(u.email_opted_out_at, clock_timestamp())
  where u.id = (select t.user_id from bookpost_private.unsubscribe_tokens t where t.token = unsubscribe.token);
  return found;
end;
$function$;
comment on function bookpost.unsubscribe(uuid) is 'The person of an email''s link wants no more email. Returns false where nobody has this token. Said again it changes nothing.';
grant execute on function bookpost.unsubscribe(uuid) to bookpost_member;
grant execute on function bookpost.unsubscribe(uuid) to bookpost_operator;
grant execute on function bookpost.unsubscribe(uuid) to bookpost_visitor;
grant execute on function bookpost.unsubscribe(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.users_unread_notification_count(person bookpost.users)
 RETURNS integer
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT (count(*))::integer AS count
    FROM bookpost.notifications n
   WHERE ((n.user_id = (users_unread_notification_count.person).id) AND (n.read_at IS NULL));
END;
comment on function bookpost.users_unread_notification_count(bookpost.users) is 'How many of her notifications she has not read.';
grant execute on function bookpost.users_unread_notification_count(bookpost.users) to bookpost_member;
grant execute on function bookpost.users_unread_notification_count(bookpost.users) to bookpost_operator;
grant execute on function bookpost.users_unread_notification_count(bookpost.users) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost.verify_phone_number(person uuid, code text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  v_person bookpost.users := bookpost_private.own_user(verify_phone_number.person);
  v_verification bookpost_private.phone_verifications;
begin
  -- A second guess at the same time waits here, and counts.
  update bookpost_private.phone_verifications p set tries = p.tries + 1
  where p.user_id = v_person.id
  returning p.* into v_verification;
  -- 5 guesses of a million (chosen). No reason is given: to whoever guesses, all refusals are alike.
  if not found or v_verification.tries > 5 or v_verification.code_hash is null or v_verification.code_ends_at < clock_timestamp()
    or sha256(convert_to(v_verification.user_id || regexp_replace(coalesce(code, ''), '[[:space:]-]', '', 'g'), 'UTF8')) <> v_verification.code_hash
  then
    return false;
  end if;
  update bookpost.users u set phone_verified_at = clock_timestamp(), is_sms_wanted = true
  where u.id = v_verification.user_id and u.phone_number = v_verification.phone_number;
  if not found then
    return false;
  end if;
  update bookpost_private.phone_verifications p set code_hash = null where p.user_id = v_verification.user_id;
  return true;
end;
$function$;
comment on function bookpost.verify_phone_number(uuid,text) is 'Gives back the code that came by text message: the number is verified, and text messages are on. False for a wrong code, one older than 10 minutes, after 5 wrong ones, or where the number has changed. Left out (null), the person is who is signed in. Raises BP404 for an unknown person.';
grant execute on function bookpost.verify_phone_number(uuid,text) to bookpost_member;
grant execute on function bookpost.verify_phone_number(uuid,text) to bookpost_operator;
grant execute on function bookpost.verify_phone_number(uuid,text) to bookpost_worker;

create schema bookpost_ops;
comment on schema bookpost_ops is 'Views for people at psql: what is going on, and why.';
grant usage on schema bookpost_ops to bookpost_worker;

create view bookpost_ops.channels with (security_invoker=true) as
 SELECT c.channel,
    c.is_configured,
    count(d.id) FILTER (WHERE d.state = ANY (ARRAY['queued'::text, 'sending'::text]))::integer AS waiting,
    min(d.due_at) FILTER (WHERE d.state = ANY (ARRAY['queued'::text, 'sending'::text])) AS oldest_due_at,
    count(d.id) FILTER (WHERE d.state = 'sent'::text AND d.ended_at > (now() - '01:00:00'::interval))::integer AS sent_last_hour,
    count(d.id) FILTER (WHERE d.state = 'dead'::text)::integer AS dead,
    h.not_before AS held_until,
    h.last_error
   FROM bookpost_private.channels c
     LEFT JOIN bookpost_private.deliveries d ON d.channel = c.channel AND ((d.state = ANY (ARRAY['queued'::text, 'sending'::text, 'dead'::text])) OR d.state = 'sent'::text AND d.ended_at > (now() - '01:00:00'::interval))
     LEFT JOIN LATERAL ( SELECT r.not_before,
            r.last_error
           FROM bookpost_private.routes r
          WHERE (r.route = c.channel OR r.route ~~ (c.channel || ':%'::text)) AND r.not_before > now()
          ORDER BY r.not_before DESC
         LIMIT 1) h ON true
  GROUP BY c.channel, c.is_configured, h.not_before, h.last_error;
comment on view bookpost_ops.channels is 'Email, text messages and webhooks at a glance: whether a worker can send, what waits, what was sent in the last hour, what is dead, and until when a channel in trouble is left alone.';
grant select on bookpost_ops.channels to bookpost_worker;

create view bookpost_ops.circuits with (security_invoker=true) as
 SELECT c.api_code,
    c.state,
    c.generation,
    c.consecutive_failures,
    c.open_until,
    c.is_forced,
        CASE
            WHEN c.state = 'closed'::text AND (c.released_at + a.release_duration) > now() THEN c.released_at + a.release_duration
            ELSE NULL::timestamp with time zone
        END AS released_until,
    g.reason AS held_by,
    g.until AS held_until,
    b.parked_reason,
        CASE
            WHEN b.day = (now() AT TIME ZONE a.day_time_zone)::date THEN b.day_calls
            ELSE 0
        END AS day_calls,
    a.calls_per_day,
    (( SELECT count(*) AS count
           FROM bookpost_private.leases l
          WHERE l.api_code = c.api_code))::integer AS in_flight,
    (( SELECT count(*) AS count
           FROM bookpost_private.checks k
          WHERE k.api_code = c.api_code AND k.next_check_at <= now()))::integer AS due,
    t.reason AS last_transition,
    t.occurred_at AS last_transition_at
   FROM bookpost.carrier_circuits c
     JOIN bookpost.carrier_apis a ON a.code = c.api_code
     JOIN bookpost_private.budgets b ON b.api_code = c.api_code
     CROSS JOIN LATERAL bookpost_private.gate(c.api_code) g(allowance, urgent_allowance, reason, until, spacing, release_spacing, flow_spacing, next_call_at, pace, batch_size, calls_in_flight)
     LEFT JOIN LATERAL ( SELECT x.reason,
            x.occurred_at
           FROM bookpost_private.circuit_transitions x
          WHERE x.api_code = c.api_code
          ORDER BY x.id DESC
         LIMIT 1) t ON true;
comment on view bookpost_ops.circuits is 'Each API''s circuit, what holds it back and until when, what it has used of its day, and how many parcels are due. released_until: after an outage, until when it is let through gradually.';
grant select on bookpost_ops.circuits to bookpost_worker;

create view bookpost_ops.deliveries with (security_invoker=true) as
 SELECT d.id AS delivery_id,
    d.created_at,
    d.channel,
    d.kind,
    d.state,
    d.reason,
    d.due_at,
    d.attempt_count,
    d.failure_count,
    d.attempted_at,
    d.ended_at,
    d.is_doubtful,
    d.last_error,
    d.provider_id,
    d.digest_id,
    d.user_id,
    u.app_user_id,
    d.endpoint_id,
    t.titles
   FROM bookpost_private.deliveries d
     LEFT JOIN bookpost.users u ON u.id = d.user_id
     LEFT JOIN LATERAL ( SELECT string_agg(DISTINCT b.title, ', '::text ORDER BY b.title) AS titles
           FROM bookpost_private.delivery_items i
             JOIN bookpost_private.deliveries o ON o.id = i.delivery_id
             JOIN bookpost.notifications n ON n.id = i.notification_id
             JOIN bookpost.books b ON b.id = n.book_id
          WHERE o.id = d.id OR o.digest_id = d.id) t ON true;
comment on view bookpost_ops.deliveries is 'Messages by email, text message and webhook, and what became of each: queued, sending, sent, folded (told in a digest), dropped (on purpose) or dead (could not be sent; retry_delivery brings it back). Addresses are not shown.';
grant select on bookpost_ops.deliveries to bookpost_worker;

create view bookpost_ops.needs_person with (security_invoker=true) as
 SELECT
        CASE
            WHEN c.pause_reason = 'quarantined'::text THEN 'quarantined'::text
            ELSE c.last_outcome
        END AS kind,
    c.api_code,
    p.id AS parcel_id,
    (p.carrier_code || ' '::text) || p.tracking_number AS what,
    c.last_error AS detail,
    COALESCE(c.last_changed_at, p.created_at) AS since
   FROM bookpost_private.checks c
     JOIN bookpost.parcels p ON p.id = c.parcel_id AND p.closed_at IS NULL
     LEFT JOIN bookpost_private.lookup_outcomes o ON o.outcome = c.last_outcome
  WHERE c.pause_reason = 'quarantined'::text OR o.person_after <= (now() - COALESCE(c.last_changed_at, p.created_at))
UNION ALL
 SELECT 'earlier_life'::text AS kind,
    c.api_code,
    p.id AS parcel_id,
    (p.carrier_code || ' '::text) || p.tracking_number AS what,
    ((e.scans || ' scans, the last of '::text) || (e.last_at AT TIME ZONE 'UTC'::text)::date) || ', are taken for an earlier parcel''s with this number'::text AS detail,
    e.since
   FROM bookpost.parcels p
     JOIN bookpost_private.checks c ON c.parcel_id = p.id
     CROSS JOIN LATERAL ( SELECT count(*) AS scans,
            max(t.sort_at) AS last_at,
            min(t.first_seen_at) AS since
           FROM bookpost.tracking_events t
          WHERE t.parcel_id = p.id) e
  WHERE p.closed_at IS NULL AND p.status = 'pending'::text AND e.scans > 0
UNION ALL
 SELECT 'future_scan'::text AS kind,
    c.api_code,
    p.id AS parcel_id,
    (p.carrier_code || ' '::text) || p.tracking_number AS what,
    (('a scan ('::text || e.raw_code) || ') has the time '::text) || e.raw_time AS detail,
    e.first_seen_at AS since
   FROM bookpost.tracking_events e
     JOIN bookpost.parcels p ON p.id = e.parcel_id AND p.closed_at IS NULL
     JOIN bookpost_private.checks c ON c.parcel_id = p.id
  WHERE e.sort_at > (now() + '24:00:00'::interval)
UNION ALL
 SELECT 'parked'::text AS kind,
    b.api_code,
    NULL::uuid AS parcel_id,
    b.api_code AS what,
    b.parked_reason AS detail,
    b.parked_at AS since
   FROM bookpost_private.budgets b
  WHERE b.parked_at IS NOT NULL
UNION ALL
 SELECT 'dead_delivery'::text AS kind,
    NULL::text AS api_code,
    NULL::uuid AS parcel_id,
    (d.channel || ' message '::text) || d.id AS what,
    d.reason || COALESCE(': '::text || d.last_error, ''::text) AS detail,
    d.ended_at AS since
   FROM bookpost_private.deliveries d
  WHERE d.state = 'dead'::text AND (d.reason = ANY (ARRAY['failed'::text, 'attempts_spent'::text, 'too_old'::text, 'refused'::text])) AND d.ended_at > (now() - '7 days'::interval)
UNION ALL
 SELECT 'webhook_disabled'::text AS kind,
    NULL::text AS api_code,
    NULL::uuid AS parcel_id,
    'webhook '::text || e.id AS what,
    e.disabled_reason AS detail,
    e.disabled_at AS since
   FROM bookpost.webhook_endpoints e
  WHERE e.disabled_reason = ANY (ARRAY['gone'::text, 'failing'::text])
UNION ALL
 SELECT 'channel_in_trouble'::text AS kind,
    NULL::text AS api_code,
    NULL::uuid AS parcel_id,
    r.route AS what,
    (r.failure_count || ' failures in a row: '::text) || r.last_error AS detail,
    r.last_failed_at AS since
   FROM bookpost_private.routes r
  WHERE r.failure_count >= 8;
comment on view bookpost_ops.needs_person is 'What will not come right by itself: parcels set aside for a bug of ours, numbers that their carrier has not known for 30 days, numbers whose scans are all of an earlier parcel (the new one is not scanned yet, or it was sent earlier than we think: then track it again with sent_on), scans from the future, answers that make no sense, requests that were refused, APIs that refused our credentials; messages of the last week that could not be sent, webhooks that were disabled, mail servers and SMS providers that have failed eight times in a row.';
grant select on bookpost_ops.needs_person to bookpost_worker;

create view bookpost_ops.recent_lookups with (security_invoker=true) as
 SELECT k.finished_at,
    k.api_code,
    p.carrier_code,
    p.tracking_number,
    k.outcome,
    k.error_code,
    k.error_message,
    k.calls,
    k.finished_at - k.started_at AS took,
    k.is_probe,
    k.generation,
    k.id AS lookup_id,
    k.parcel_id
   FROM bookpost_private.lookups k
     LEFT JOIN bookpost.parcels p ON p.id = k.parcel_id
  ORDER BY k.finished_at DESC
 LIMIT 200;
comment on view bookpost_ops.recent_lookups is 'The last 200 lookups, newest first.';
grant select on bookpost_ops.recent_lookups to bookpost_worker;

create view bookpost_ops.stuck with (security_invoker=true) as
 SELECT 'lease'::text AS kind,
    l.lookup_id::text AS id,
    (('lookup of parcel '::text || l.parcel_id) || ' by '::text) || l.worker_id AS what,
    l.lease_until AS since
   FROM bookpost_private.leases l
  WHERE l.lease_until < (now() - '00:00:10'::interval)
UNION ALL
 SELECT 'probe'::text AS kind,
    c.api_code AS id,
    'probe '::text || c.probe_lookup_id AS what,
    c.probe_until AS since
   FROM bookpost.carrier_circuits c
  WHERE c.probe_until < (now() - '00:00:10'::interval)
UNION ALL
 SELECT 'job'::text AS kind,
    q.job_id::text AS id,
    (('job of parcel '::text || q.parcel_id) || ' locked by '::text) || q.locked_by AS what,
    q.locked_at AS since
   FROM bookpost_private.queued_lookups() q(parcel_id, job_id, run_at, attempts, max_attempts, locked_at, locked_by, last_error)
  WHERE q.locked_at < (now() - '00:00:10'::interval) AND (q.locked_at < (now() - '00:05:00'::interval) OR NOT (EXISTS ( SELECT
           FROM bookpost_private.workers w
          WHERE w.id = q.locked_by)))
UNION ALL
 SELECT 'dispatch'::text AS kind,
    'dispatch'::text AS id,
    'no dispatch has run, though workers live'::text AS what,
    d.dispatched_at AS since
   FROM bookpost_private.dispatch_clock d
  WHERE (d.dispatched_at < (now() - '00:03:00'::interval) OR d.dispatched_at > (now() + '00:01:00'::interval)) AND (EXISTS ( SELECT
           FROM bookpost_private.workers w
          WHERE w.beat_at > (now() - '00:00:05'::interval) AND w.beating_since < (now() - '00:03:00'::interval)))
UNION ALL
 SELECT 'delivery'::text AS kind,
    d.id::text AS id,
    ((d.channel || ' message is '::text) || d.state) || ' beyond its time'::text AS what,
    d.due_at AS since
   FROM bookpost_private.deliveries d
     JOIN bookpost_private.channels c ON c.channel = d.channel AND c.is_configured
  WHERE (d.state = ANY (ARRAY['queued'::text, 'sending'::text])) AND d.due_at < (now() - '00:05:00'::interval) AND COALESCE(d.attempted_at < (now() - '00:05:00'::interval), true) AND NOT (EXISTS ( SELECT
           FROM bookpost_private.routes r
          WHERE r.route = bookpost_private.route_of(d.*) AND r.not_before > (now() - '00:05:00'::interval)))
UNION ALL
 SELECT 'parcel'::text AS kind,
    p.id::text AS id,
    ((p.carrier_code || ' '::text) || p.tracking_number) || ' is live and has no row in checks'::text AS what,
    p.created_at AS since
   FROM bookpost.parcels p
  WHERE p.closed_at IS NULL AND NOT (EXISTS ( SELECT
           FROM bookpost_private.checks c
          WHERE c.parcel_id = p.id));
comment on view bookpost_ops.stuck is 'What is busy beyond its time. Empty when all is well.';
grant select on bookpost_ops.stuck to bookpost_worker;

create view bookpost_ops.unmapped_codes with (security_invoker=true) as
 SELECT p.carrier_code,
    e.raw_code,
    count(*)::integer AS scans,
    min(e.first_seen_at) AS first_seen_at,
    max(e.first_seen_at) AS last_seen_at,
    min(e.description) AS description
   FROM bookpost.tracking_events e
     JOIN bookpost.parcels p ON p.id = e.parcel_id
  WHERE NOT e.is_code_listed
  GROUP BY p.carrier_code, e.raw_code;
comment on view bookpost_ops.unmapped_codes is 'Codes that carriers used and our tables do not know; they changed no status. A person adds them to the adapter.';
grant select on bookpost_ops.unmapped_codes to bookpost_worker;

create view bookpost_ops.why with (security_invoker=true) as
 WITH gates AS MATERIALIZED (
         SELECT a.code,
                CASE
                    WHEN s.state = 'closed'::text AND (s.released_at + a.release_duration) > now() THEN s.released_at + a.release_duration
                    ELSE NULL::timestamp with time zone
                END AS released_until,
            (now() AT TIME ZONE a.day_time_zone)::date AS today,
            COALESCE(a.calls_per_parcel_per_day, 2147483647) AS calls_per_parcel_per_day,
            x.allowance,
            x.urgent_allowance,
            x.reason,
            x.until,
            x.next_call_at,
            GREATEST(x.pace, x.flow_spacing) AS pace,
            x.batch_size
           FROM bookpost.carrier_apis a
             JOIN bookpost.carrier_circuits s ON s.api_code = a.code
             CROSS JOIN LATERAL bookpost_private.gate(a.code) x(allowance, urgent_allowance, reason, until, spacing, release_spacing, flow_spacing, next_call_at, pace, batch_size, calls_in_flight)
        )
 SELECT p.id AS parcel_id,
    p.carrier_code,
    p.tracking_number,
    p.status,
    t.titles,
        CASE
            WHEN l.parcel_id IS NOT NULL THEN 'looking'::text
            WHEN c.pause_reason IS NOT NULL THEN c.pause_reason
            WHEN q.locked_at IS NOT NULL THEN 'looking'::text
            WHEN q.parcel_id IS NOT NULL AND q.attempts < q.max_attempts THEN 'queued'::text
            WHEN c.next_check_at > now() THEN 'scheduled'::text
            WHEN d.parcel_id IS NULL THEN 'no_budget'::text
            WHEN g.urgent_allowance = 0 OR g.reason = 'not_before'::text THEN g.reason
            WHEN g.reason = 'probe'::text AND d.place > 1 THEN 'circuit_half_open'::text
            WHEN d.place > d.allowance THEN 'no_budget'::text
            ELSE 'due'::text
        END AS reason,
        CASE
            WHEN l.parcel_id IS NOT NULL THEN l.lease_until
            WHEN c.pause_reason IS NOT NULL THEN NULL::timestamp with time zone
            WHEN q.parcel_id IS NOT NULL AND q.attempts < q.max_attempts THEN q.run_at
            WHEN c.next_check_at > now() THEN c.next_check_at
            WHEN d.parcel_id IS NULL THEN bookpost_private.parcel_may_be_asked_at(c.api_code, c.day, c.day_calls)
            WHEN g.urgent_allowance = 0 OR g.reason = 'not_before'::text THEN g.until
            WHEN g.reason = 'probe'::text AND d.place > 1 THEN now() + '00:01:00'::interval
            WHEN d.place > d.allowance AND g.released_until IS NOT NULL THEN g.released_until
            WHEN d.place > d.allowance THEN GREATEST(g.until, g.next_call_at) + g.pace * ((d.place - d.allowance) / g.batch_size)::double precision
            ELSE c.next_check_at
        END AS until,
    COALESCE(o.person_after <= (now() - COALESCE(c.last_changed_at, p.created_at)), false) OR COALESCE(c.pause_reason = ANY (ARRAY['quarantined'::text, 'no_api'::text]), false) OR p.status = 'pending'::text AND (EXISTS ( SELECT
           FROM bookpost.tracking_events e
          WHERE e.parcel_id = p.id)) AS needs_person,
    c.last_outcome,
    c.last_error,
    c.last_looked_at
   FROM bookpost.parcels p
     JOIN bookpost_private.checks c ON c.parcel_id = p.id
     LEFT JOIN bookpost_private.leases l ON l.parcel_id = p.id
     LEFT JOIN bookpost_private.queued_lookups() q(parcel_id, job_id, run_at, attempts, max_attempts, locked_at, locked_by, last_error) ON q.parcel_id = p.id
     LEFT JOIN bookpost_private.lookup_outcomes o ON o.outcome = c.last_outcome
     LEFT JOIN gates g ON g.code = c.api_code
     LEFT JOIN ( SELECT k.parcel_id,
                CASE
                    WHEN bookpost_private.is_urgent(k.next_check_at - k.head_start, now()) THEN t_1.urgent_allowance
                    ELSE t_1.allowance
                END AS allowance,
            row_number() OVER (PARTITION BY k.api_code ORDER BY (k.next_check_at - k.head_start), k.parcel_id) AS place
           FROM bookpost_private.checks k
             JOIN gates t_1 ON t_1.code = k.api_code
          WHERE k.next_check_at <= now() AND NOT (k.day = t_1.today AND k.day_calls >= t_1.calls_per_parcel_per_day)) d ON d.parcel_id = p.id
     LEFT JOIN LATERAL ( SELECT string_agg(b.title, ', '::text ORDER BY b.title) AS titles
           FROM bookpost.parcel_books pb
             JOIN bookpost.books b ON b.id = pb.book_id
          WHERE pb.parcel_id = p.id AND pb.stopped_at IS NULL) t ON true
  WHERE p.closed_at IS NULL;
comment on view bookpost_ops.why is 'Why each live parcel is where it is: exactly one row each, with the reason and until when it holds. no_budget: calls are scarce and others go first, until about then. no_api and quarantined wait for a person, not_configured and parked for credentials; needs_person: so does this one, whatever it waits for.';
grant select on bookpost_ops.why to bookpost_worker;

create schema bookpost_private;
comment on schema bookpost_private is 'The worker''s own: what is due, who is looking, what it cost. No API role may enter.';
grant usage on schema bookpost_private to bookpost_worker;

create type bookpost_private.call_allowance as (
  api_code text,
  windows interval[],
  next_call_at timestamp with time zone[],
  spacings interval[],
  bursts interval[],
  use_within interval,
  release_spacing interval,
  next_release_at timestamp with time zone,
  calls_per_day integer,
  day date,
  day_calls integer,
  day_starts_at timestamp with time zone,
  day_ends_at timestamp with time zone,
  refused_at timestamp with time zone
);
comment on type bookpost_private.call_allowance is 'What is left of an API''s allowance, in the hands of who has its budget row locked.';

create type bookpost_private.lookup_report as (
  lookup_id uuid,
  outcome text,
  error_code text,
  error_message text,
  retry_after_ms double precision,
  is_api_wide boolean,
  calls jsonb,
  body text,
  digest text,
  status text,
  raw_status text,
  raw_text text,
  is_return boolean,
  estimated_from timestamp without time zone,
  estimated_until timestamp without time zone,
  estimated_time_zone text,
  is_estimate_a_date boolean,
  signed_by text,
  tracking_url text,
  events jsonb,
  parcel_id uuid,
  batch_id uuid,
  api_code text,
  generation integer,
  is_probe boolean,
  worker_id text,
  started_at timestamp with time zone,
  call_at timestamp with time zone,
  paid_calls integer
);
comment on type bookpost_private.lookup_report is 'The end of one lookup. outcome: found, or a word of lookup_outcomes; is_api_wide: a refusal that concerns our credentials, not this parcel; calls: [{kind, http_status, age_ms, duration_ms}]; events: the columns of tracking_events.';

create table bookpost_private.budgets (
  api_code text not null,
  next_release_at timestamp with time zone default '-infinity'::timestamp with time zone not null,
  waiting_until timestamp with time zone default '-infinity'::timestamp with time zone not null,
  day date default '-infinity'::date not null,
  day_calls integer default 0 not null,
  not_before timestamp with time zone,
  not_before_reason text,
  parked_at timestamp with time zone,
  parked_reason text,
  parked_fingerprint text,
  constraint budgets_pkey PRIMARY KEY (api_code),
  constraint budgets_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint budgets_day_calls_is_not_negative CHECK ((day_calls >= 0)),
  constraint budgets_parking_has_a_reason CHECK (((parked_at IS NULL) = (parked_reason IS NULL))),
  constraint budgets_wait_has_a_reason CHECK (((not_before IS NULL) = (not_before_reason IS NULL)))
) with (fillfactor=20);
alter table bookpost_private.budgets enable row level security;
alter table bookpost_private.budgets force row level security;
create policy worker_does_all on bookpost_private.budgets for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.budgets is 'What is left of each API''s allowance, and whether it has told us to wait. One row per API, written once per batch of lookups.';
comment on column bookpost_private.budgets.next_release_at is 'While an API is released after an outage: the next permit is for this time or later.';
comment on column bookpost_private.budgets.waiting_until is 'The end of the line: the last lookup that found all places in flight taken was told to come back then; the next is told later.';
comment on column bookpost_private.budgets.day is 'The API''s own day that day_calls counts.';
comment on column bookpost_private.budgets.not_before is 'The carrier said: not before this time (429 or quota).';
comment on column bookpost_private.budgets.parked_fingerprint is 'Which credentials were refused last; a worker that comes with others ends the parking, one that has these gets no permit.';
grant delete, insert, select, update on bookpost_private.budgets to bookpost_worker;

create table bookpost_private.call_windows (
  api_code text not null,
  call_window interval not null,
  next_call_at timestamp with time zone default '-infinity'::timestamp with time zone not null,
  constraint call_windows_pkey PRIMARY KEY (api_code, call_window),
  constraint call_windows_belongs_to_limit FOREIGN KEY (api_code, call_window) REFERENCES bookpost.carrier_limits(api_code, call_window) ON UPDATE CASCADE ON DELETE CASCADE
) with (fillfactor=20);
alter table bookpost_private.call_windows enable row level security;
alter table bookpost_private.call_windows force row level security;
create policy worker_does_all on bookpost_private.call_windows for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.call_windows is 'How far the calls granted so far have used each limit up: next_call_at is when the next one would be due at an even pace. Written with the budget''s row locked, once per batch.';
grant delete, insert, select, update on bookpost_private.call_windows to bookpost_worker;

create table bookpost_private.carrier_answers (
  lookup_id uuid not null,
  parcel_id uuid not null,
  api_code text not null,
  received_at timestamp with time zone not null,
  digest text,
  body text not null,
  constraint carrier_answers_pkey PRIMARY KEY (lookup_id, received_at)
) partition by RANGE (received_at);
CREATE INDEX carrier_answers_parcel_id_received_at_idx ON ONLY bookpost_private.carrier_answers USING btree (parcel_id, received_at DESC);
alter table bookpost_private.carrier_answers enable row level security;
alter table bookpost_private.carrier_answers force row level security;
create policy worker_does_all on bookpost_private.carrier_answers for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.carrier_answers is 'What the carrier said, kept when it was new or made no sense, for evidence and replay. May hold names and addresses.';
grant delete, insert, select, update on bookpost_private.carrier_answers to bookpost_worker;

create table bookpost_private.carrier_calls (
  lookup_id uuid not null,
  api_code text not null,
  kind text not null,
  http_status integer,
  called_at timestamp with time zone not null,
  duration interval not null
) partition by RANGE (called_at);
CREATE INDEX carrier_calls_api_code_called_at_idx ON ONLY bookpost_private.carrier_calls USING btree (api_code, called_at DESC);
alter table bookpost_private.carrier_calls enable row level security;
alter table bookpost_private.carrier_calls force row level security;
create policy worker_does_all on bookpost_private.carrier_calls for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.carrier_calls is 'One row per HTTP request that went out, token requests included: what the carrier counts too.';
grant delete, insert, select, update on bookpost_private.carrier_calls to bookpost_worker;

create table bookpost_private.change_horizon (
  is_only boolean default true not null,
  pruned_through xid8 default '0'::xid8 not null,
  constraint change_horizon_pkey PRIMARY KEY (is_only),
  constraint change_horizon_has_one_row CHECK (is_only)
);
alter table bookpost_private.change_horizon enable row level security;
alter table bookpost_private.change_horizon force row level security;
create policy worker_does_all on bookpost_private.change_horizon for all to bookpost_worker using (true) with check (true);
grant delete, insert, select, update on bookpost_private.change_horizon to bookpost_worker;

create table bookpost_private.channels (
  channel text not null,
  is_configured boolean default false not null,
  cap_per_hour integer,
  damping interval,
  keeps_quiet_hours boolean not null,
  supersedes boolean not null,
  retry_delays interval[] not null,
  max_failures integer not null,
  max_age interval not null,
  queues integer not null,
  constraint channels_pkey PRIMARY KEY (channel),
  constraint channels_have_a_retry_delay CHECK ((array_length(retry_delays, 1) > 0)),
  constraint channels_limits_are_positive CHECK (((cap_per_hour > 0) AND (max_failures > 0) AND (queues > 0) AND (damping > '00:00:00'::interval) AND (max_age > '00:00:00'::interval)))
);
alter table bookpost_private.channels enable row level security;
alter table bookpost_private.channels force row level security;
create policy worker_does_all on bookpost_private.channels for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.channels is 'By what people are reached, and by which rules.';
comment on column bookpost_private.channels.is_configured is 'Whether a worker has the means (SMTP_URL, an SMS provider); without them no message is queued. Webhooks need none.';
comment on column bookpost_private.channels.cap_per_hour is 'Messages to one person in an hour; what is more becomes one digest. Null: no limit.';
comment on column bookpost_private.channels.damping is 'A stage reached again, or a call for action repeated, within this time is not told again before it is over. Null: always told.';
comment on column bookpost_private.channels.keeps_quiet_hours is 'Whether it waits for the end of a person''s quiet hours.';
comment on column bookpost_private.channels.supersedes is 'Whether news that wait are dropped for newer ones of the same book.';
comment on column bookpost_private.channels.retry_delays is 'How long to wait after each failure, and up to a fifth more; the last one stands for all after it.';
comment on column bookpost_private.channels.max_failures is 'A message that has failed so often is dead.';
comment on column bookpost_private.channels.max_age is 'A message that could not be sent in this time is dead.';
comment on column bookpost_private.channels.queues is 'So many are sent at once, by all workers together; of webhooks, one to each endpoint.';
grant delete, insert, select, update on bookpost_private.channels to bookpost_worker;

create table bookpost_private.checks (
  parcel_id uuid not null,
  api_code text,
  next_check_at timestamp with time zone,
  pause_reason text,
  last_looked_at timestamp with time zone,
  last_answered_at timestamp with time zone,
  last_changed_at timestamp with time zone,
  last_outcome text,
  last_error text,
  digest text,
  unchanged_count integer default 0 not null,
  failure_count integer default 0 not null,
  crash_count integer default 0 not null,
  head_start interval default '00:00:00'::interval not null,
  utc_offset interval,
  day date default '-infinity'::date not null,
  day_calls integer default 0 not null,
  constraint checks_pkey PRIMARY KEY (parcel_id),
  constraint checks_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE RESTRICT,
  constraint checks_last_outcome_fkey FOREIGN KEY (last_outcome) REFERENCES bookpost_private.lookup_outcomes(outcome) ON UPDATE CASCADE,
  constraint checks_parcel_id_fkey FOREIGN KEY (parcel_id) REFERENCES bookpost.parcels(id) ON DELETE CASCADE,
  constraint checks_crash_count_is_not_negative CHECK ((crash_count >= 0)),
  constraint checks_day_calls_is_not_negative CHECK ((day_calls >= 0)),
  constraint checks_due_needs_an_api CHECK (((next_check_at IS NULL) OR (api_code IS NOT NULL))),
  constraint checks_next_look_or_reason CHECK (((next_check_at IS NULL) = (pause_reason IS NOT NULL))),
  constraint checks_pause_reason_is_known CHECK ((pause_reason = ANY (ARRAY['closed'::text, 'no_api'::text, 'quarantined'::text])))
) with (fillfactor=70, autovacuum_vacuum_scale_factor=0.05);
CREATE INDEX checks_api_code_next_check_at_idx ON bookpost_private.checks USING btree (api_code, next_check_at, parcel_id) WHERE (next_check_at IS NOT NULL);
CREATE INDEX checks_crash_count_idx ON bookpost_private.checks USING btree (crash_count) WHERE (crash_count > 0);
alter table bookpost_private.checks enable row level security;
alter table bookpost_private.checks force row level security;
create policy worker_does_all on bookpost_private.checks for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.checks is 'For each parcel what every look changes: when next, when last, how it went. Narrow, so that writing it is cheap.';
comment on column bookpost_private.checks.pause_reason is 'Why there is no next look: closed; no_api (people set the status); quarantined (it fails or kills our workers, see last_error).';
comment on column bookpost_private.checks.digest is 'Of the last answer as we read it; the same digest again means nothing is new.';
comment on column bookpost_private.checks.crash_count is 'How many of its lookups in a row ended with the death of their worker. Two set the parcel aside as quarantined; then it is tried alone, once.';
comment on column bookpost_private.checks.head_start is 'When calls are scarce: how much earlier than its turn it goes, as if it had been due that much sooner (head_starts).';
comment on column bookpost_private.checks.utc_offset is 'Of the wall clock where it was scanned last, as far as the carrier told.';
comment on column bookpost_private.checks.day is 'The API''s own day that day_calls counts.';
comment on column bookpost_private.checks.day_calls is 'How many requests have asked about this parcel on that day.';
grant delete, insert, select, update on bookpost_private.checks to bookpost_worker;

create table bookpost_private.circuit_transitions (
  id bigint generated always as identity not null,
  api_code text not null,
  generation integer not null,
  from_state text not null,
  to_state text not null,
  reason text not null,
  lookup_ids uuid[] default '{}'::uuid[] not null,
  author text,
  occurred_at timestamp with time zone default clock_timestamp() not null,
  constraint circuit_transitions_pkey PRIMARY KEY (id),
  constraint circuit_transitions_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX circuit_transitions_api_code_id_idx ON bookpost_private.circuit_transitions USING btree (api_code, id DESC);
alter table bookpost_private.circuit_transitions enable row level security;
alter table bookpost_private.circuit_transitions force row level security;
create policy worker_does_all on bookpost_private.circuit_transitions for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.circuit_transitions is 'Why each circuit moved: the reason, the lookups that caused it, or the person.';
grant delete, insert, select, update on bookpost_private.circuit_transitions to bookpost_worker;

create table bookpost_private.code_requests (
  id bigint generated always as identity not null,
  user_id uuid not null,
  phone_number text not null,
  requested_at timestamp with time zone default clock_timestamp() not null,
  constraint code_requests_pkey PRIMARY KEY (id)
);
CREATE INDEX code_requests_block_idx ON bookpost_private.code_requests USING btree ("left"(phone_number, '-3'::integer), requested_at);
CREATE INDEX code_requests_user_id_idx ON bookpost_private.code_requests USING btree (user_id, requested_at);
alter table bookpost_private.code_requests enable row level security;
alter table bookpost_private.code_requests force row level security;
create policy worker_does_all on bookpost_private.code_requests for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.code_requests is 'Who asked for a code to which number: for the caps of request_phone_verification. Kept until the next cleaning after a day.';
grant delete, insert, select, update on bookpost_private.code_requests to bookpost_worker;

create table bookpost_private.deliveries (
  id uuid default gen_random_uuid() not null,
  user_id uuid,
  channel text not null,
  endpoint_id uuid,
  kind text not null,
  state text default 'queued'::text not null,
  reason text,
  digest_id uuid,
  created_at timestamp with time zone default clock_timestamp() not null,
  due_at timestamp with time zone default clock_timestamp() not null,
  attempt_count integer default 0 not null,
  failure_count integer default 0 not null,
  attempted_at timestamp with time zone,
  ended_at timestamp with time zone,
  worker_id text,
  email_hash bytea,
  is_doubtful boolean default false not null,
  provider_id text,
  last_error text,
  constraint deliveries_pkey PRIMARY KEY (id),
  constraint deliveries_channel_fkey FOREIGN KEY (channel) REFERENCES bookpost_private.channels(channel) ON DELETE RESTRICT,
  constraint deliveries_digest_id_fkey FOREIGN KEY (digest_id) REFERENCES bookpost_private.deliveries(id) ON DELETE SET NULL,
  constraint deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES bookpost.webhook_endpoints(id) ON DELETE CASCADE,
  constraint deliveries_state_fkey FOREIGN KEY (state) REFERENCES bookpost_private.delivery_states(state) ON DELETE RESTRICT,
  constraint deliveries_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookpost.users(id) ON DELETE CASCADE,
  constraint deliveries_drop_or_death_has_a_reason CHECK (((state = ANY (ARRAY['dropped'::text, 'dead'::text])) = (reason IS NOT NULL))),
  constraint deliveries_end_has_a_time CHECK (((state = ANY (ARRAY['sent'::text, 'folded'::text, 'dropped'::text, 'dead'::text])) = (ended_at IS NOT NULL))),
  constraint deliveries_kind_is_known CHECK ((kind = ANY (ARRAY['news'::text, 'digest'::text, 'test'::text, 'verification'::text, 'endpoint_disabled'::text]))),
  constraint deliveries_only_apps_are_nobody CHECK (((user_id IS NOT NULL) OR (endpoint_id IS NOT NULL))),
  constraint deliveries_only_folded_have_a_digest CHECK (((digest_id IS NULL) OR (state = 'folded'::text))),
  constraint deliveries_webhooks_have_an_endpoint CHECK ((((channel = 'webhook'::text) OR (kind = 'endpoint_disabled'::text)) = (endpoint_id IS NOT NULL)))
) with (fillfactor=70);
CREATE INDEX deliveries_digest_id_idx ON bookpost_private.deliveries USING btree (digest_id) WHERE (digest_id IS NOT NULL);
CREATE INDEX deliveries_due_at_idx ON bookpost_private.deliveries USING btree (due_at) WHERE (state = ANY (ARRAY['queued'::text, 'sending'::text]));
CREATE INDEX deliveries_ended_at_idx ON bookpost_private.deliveries USING btree (state, ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX deliveries_endpoint_id_idx ON bookpost_private.deliveries USING btree (endpoint_id) WHERE (endpoint_id IS NOT NULL);
CREATE INDEX deliveries_user_id_channel_attempted_at_idx ON bookpost_private.deliveries USING btree (user_id, channel, attempted_at DESC);
alter table bookpost_private.deliveries enable row level security;
alter table bookpost_private.deliveries force row level security;
create policy worker_does_all on bookpost_private.deliveries for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.deliveries is 'One message to one person or endpoint by one channel, and what became of it. Kept 30 days after its end, dead ones 90.';
comment on column bookpost_private.deliveries.user_id is 'To whom; null: a test to an endpoint that serves everyone.';
comment on column bookpost_private.deliveries.kind is 'news (with its notifications in delivery_items), digest of many news, test, verification of a phone number, endpoint_disabled.';
comment on column bookpost_private.deliveries.attempt_count is 'Times that a worker began to hand it over; what an attempt reports counts only while it is the last.';
comment on column bookpost_private.deliveries.failure_count is 'Attempts that failed or were interrupted by a death; the retry schedule goes by it.';
comment on column bookpost_private.deliveries.email_hash is 'SHA-256 of the address that the last attempt went to: what its server says of that one is not said of a newer one.';
comment on column bookpost_private.deliveries.is_doubtful is 'An attempt was broken off before its end was known: the message may have arrived twice. Not for webhooks, whose id tells the receiver.';
comment on column bookpost_private.deliveries.provider_id is 'What the mail server, provider or endpoint called it.';
grant delete, insert, select, update on bookpost_private.deliveries to bookpost_worker;

create table bookpost_private.delivery_items (
  delivery_id uuid not null,
  notification_id uuid not null,
  channel text not null,
  endpoint_id uuid,
  is_told boolean default false not null,
  constraint delivery_items_pkey PRIMARY KEY (delivery_id, notification_id),
  constraint delivery_items_one_message_per_way UNIQUE NULLS NOT DISTINCT (notification_id, channel, endpoint_id),
  constraint delivery_items_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES bookpost_private.deliveries(id) ON DELETE CASCADE,
  constraint delivery_items_notification_id_fkey FOREIGN KEY (notification_id) REFERENCES bookpost.notifications(id) ON DELETE CASCADE
);
alter table bookpost_private.delivery_items enable row level security;
alter table bookpost_private.delivery_items force row level security;
create policy worker_does_all on bookpost_private.delivery_items for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.delivery_items is 'Which notifications a message carries: several books in one parcel are one message.';
comment on column bookpost_private.delivery_items.is_told is 'Whether the last attempt carried it, or one that was broken off; newer news leave it out. Kept only for channels with damping, which go by it.';
grant delete, insert, select, update on bookpost_private.delivery_items to bookpost_worker;

create table bookpost_private.delivery_outcomes (
  outcome text not null,
  ends_as text,
  counts boolean not null,
  holds_route boolean not null,
  description text not null,
  constraint delivery_outcomes_pkey PRIMARY KEY (outcome),
  constraint delivery_outcomes_ends_as_fkey FOREIGN KEY (ends_as) REFERENCES bookpost_private.delivery_states(state) ON DELETE RESTRICT
);
alter table bookpost_private.delivery_outcomes enable row level security;
alter table bookpost_private.delivery_outcomes force row level security;
create policy worker_does_all on bookpost_private.delivery_outcomes for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.delivery_outcomes is 'How an attempt can end, and what follows.';
comment on column bookpost_private.delivery_outcomes.ends_as is 'The message''s last state; null: it is tried again.';
comment on column bookpost_private.delivery_outcomes.counts is 'Whether it is a failure of this message.';
comment on column bookpost_private.delivery_outcomes.holds_route is 'Whether everything else that way waits a while as well.';
grant delete, insert, select, update on bookpost_private.delivery_outcomes to bookpost_worker;

create table bookpost_private.delivery_states (
  state text not null,
  description text not null,
  is_final boolean not null,
  constraint delivery_states_pkey PRIMARY KEY (state)
);
alter table bookpost_private.delivery_states enable row level security;
alter table bookpost_private.delivery_states force row level security;
create policy worker_does_all on bookpost_private.delivery_states for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.delivery_states is 'What can become of a message.';
grant delete, insert, select, update on bookpost_private.delivery_states to bookpost_worker;

create table bookpost_private.dispatch_clock (
  is_only boolean default true not null,
  dispatched_at timestamp with time zone default '-infinity'::timestamp with time zone not null,
  constraint dispatch_clock_pkey PRIMARY KEY (is_only),
  constraint dispatch_clock_has_one_row CHECK (is_only)
) with (fillfactor=20);
alter table bookpost_private.dispatch_clock enable row level security;
alter table bookpost_private.dispatch_clock force row level security;
create policy worker_does_all on bookpost_private.dispatch_clock for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.dispatch_clock is 'When dispatch ran last, by the database''s clock: whoever finds that too long ago asks for one, and a time in the future tells that the clock was set back.';
grant delete, insert, select, update on bookpost_private.dispatch_clock to bookpost_worker;

create table bookpost_private.forsaken_parcels (
  parcel_id uuid not null
);
CREATE INDEX forsaken_parcels_parcel_id_idx ON bookpost_private.forsaken_parcels USING btree (parcel_id);
alter table bookpost_private.forsaken_parcels enable row level security;
alter table bookpost_private.forsaken_parcels force row level security;
create policy worker_does_all on bookpost_private.forsaken_parcels for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.forsaken_parcels is 'Parcels of which a relation has ended, until sweep has looked whether it was the last: whoever deletes a book must not wait for a lookup.';
grant delete, insert, select, update on bookpost_private.forsaken_parcels to bookpost_worker;

create table bookpost_private.head_starts (
  reason text not null,
  head_start interval not null,
  description text not null,
  constraint head_starts_pkey PRIMARY KEY (reason),
  constraint head_starts_are_not_negative CHECK ((head_start >= '00:00:00'::interval))
);
alter table bookpost_private.head_starts enable row level security;
alter table bookpost_private.head_starts force row level security;
create policy worker_does_all on bookpost_private.head_starts for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.head_starts is 'Who goes first when calls are scarce: how much sooner than its turn a parcel goes, as if it had been due that much earlier. Being bounded, it starves nobody: whoever has waited longer than the head starts add up to goes before everyone. Whose head start and waiting together make 12 hours is urgent, and may use what is kept in hand of the day.';
grant delete, insert, select, update on bookpost_private.head_starts to bookpost_worker;

create table bookpost_private.leases (
  parcel_id uuid not null,
  lookup_id uuid not null,
  batch_id uuid not null,
  api_code text not null,
  generation integer not null,
  is_probe boolean not null,
  worker_id text not null,
  started_at timestamp with time zone not null,
  call_at timestamp with time zone not null,
  lease_until timestamp with time zone not null,
  calls integer not null,
  constraint leases_pkey PRIMARY KEY (parcel_id),
  constraint leases_lookup_id_is_unique UNIQUE (lookup_id),
  constraint leases_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint leases_parcel_id_fkey FOREIGN KEY (parcel_id) REFERENCES bookpost.parcels(id) ON DELETE CASCADE,
  constraint leases_ends_after_it_starts CHECK ((lease_until > started_at))
) with (fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=200);
CREATE INDEX leases_api_code_idx ON bookpost_private.leases USING btree (api_code);
alter table bookpost_private.leases enable row level security;
alter table bookpost_private.leases force row level security;
create policy worker_does_all on bookpost_private.leases for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.leases is 'The lookups under way: one per parcel. Recording deletes the lease, which is how a late answer is recognised.';
comment on column bookpost_private.leases.batch_id is 'Lookups that share one request, where the API takes many numbers at once.';
comment on column bookpost_private.leases.call_at is 'When its request is to go out.';
comment on column bookpost_private.leases.calls is 'How many requests its permit has paid for so far; 0: another lookup of its batch has.';
grant delete, insert, select, update on bookpost_private.leases to bookpost_worker;

create table bookpost_private.lookup_outcomes (
  outcome text not null,
  description text not null,
  circuit_effect text not null,
  retry_after interval,
  max_retry_after interval,
  person_after interval,
  constraint lookup_outcomes_pkey PRIMARY KEY (outcome),
  constraint lookup_outcomes_circuit_effect_is_known CHECK ((circuit_effect = ANY (ARRAY['success'::text, 'failure'::text, 'none'::text]))),
  constraint lookup_outcomes_retry_has_both_ends CHECK ((((retry_after IS NULL) = (max_retry_after IS NULL)) AND (retry_after > '00:00:00'::interval) AND ((max_retry_after >= retry_after) AND (max_retry_after <= '30 days'::interval))))
);
alter table bookpost_private.lookup_outcomes enable row level security;
alter table bookpost_private.lookup_outcomes force row level security;
create policy worker_does_all on bookpost_private.lookup_outcomes for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.lookup_outcomes is 'How a lookup can end, what that means for the circuit, and when to look again: retry_after, doubled with every failure in a row up to max_retry_after; null: by polling policy, or as soon as the API may be asked.';
comment on column bookpost_private.lookup_outcomes.person_after is 'When a parcel''s last look ended so and nothing new has been heard of it for this long, a person should look (bookpost_ops.needs_person); null: never.';
grant delete, insert, select, update on bookpost_private.lookup_outcomes to bookpost_worker;

create table bookpost_private.lookups (
  id uuid not null,
  parcel_id uuid not null,
  batch_id uuid not null,
  api_code text not null,
  generation integer not null,
  is_probe boolean not null,
  worker_id text not null,
  started_at timestamp with time zone not null,
  finished_at timestamp with time zone not null,
  outcome text not null,
  error_code text,
  error_message text,
  calls integer not null,
  constraint lookups_pkey PRIMARY KEY (id, finished_at)
) partition by RANGE (finished_at);
CREATE INDEX lookups_finished_at_idx ON ONLY bookpost_private.lookups USING btree (finished_at DESC);
CREATE INDEX lookups_parcel_id_finished_at_idx ON ONLY bookpost_private.lookups USING btree (parcel_id, finished_at DESC);
alter table bookpost_private.lookups enable row level security;
alter table bookpost_private.lookups force row level security;
create policy worker_does_all on bookpost_private.lookups for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.lookups is 'The ledger: one row per finished lookup, never changed.';
grant delete, insert, select, update on bookpost_private.lookups to bookpost_worker;

create table bookpost_private.phone_verifications (
  user_id uuid not null,
  phone_number text not null,
  code_hash bytea,
  code_ends_at timestamp with time zone,
  tries integer default 0 not null,
  constraint phone_verifications_pkey PRIMARY KEY (user_id),
  constraint phone_verifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookpost.users(id) ON DELETE CASCADE
);
alter table bookpost_private.phone_verifications enable row level security;
alter table bookpost_private.phone_verifications force row level security;
create policy worker_does_all on bookpost_private.phone_verifications for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.phone_verifications is 'A number that is being verified: the code''s hash (SHA-256 over the user''s id and the code), until when it counts and how often it was guessed. The code itself is made when it is sent and kept nowhere.';
grant delete, insert, select, update on bookpost_private.phone_verifications to bookpost_worker;

create table bookpost_private.polling_clocks (
  api_code text not null,
  time_zone text not null,
  constraint polling_clocks_pkey PRIMARY KEY (api_code),
  constraint polling_clocks_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint polling_clocks_time_zone_is_known CHECK ((('2000-01-01 00:00:00+00'::timestamp with time zone AT TIME ZONE time_zone) IS NOT NULL))
);
alter table bookpost_private.polling_clocks enable row level security;
alter table bookpost_private.polling_clocks force row level security;
create policy worker_does_all on bookpost_private.polling_clocks for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.polling_clocks is 'Whose clock is taken for a parcel whose scans told no offset. Only carriers that deliver in one country; for the others no hours are assumed.';
grant delete, insert, select, update on bookpost_private.polling_clocks to bookpost_worker;

create table bookpost_private.polling_hours (
  policy_id integer not null,
  day text not null,
  weekday_from smallint not null,
  weekday_until smallint not null,
  local_from time without time zone not null,
  local_until time without time zone not null,
  check_interval interval not null,
  constraint polling_hours_pkey PRIMARY KEY (policy_id, day, weekday_from, local_from),
  constraint polling_hours_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES bookpost_private.polling_policies(id) ON DELETE CASCADE,
  constraint polling_hours_day_is_known CHECK ((day = ANY (ARRAY['any'::text, 'estimated'::text, 'ahead'::text, 'other'::text]))),
  constraint polling_hours_end_after_they_begin CHECK ((local_until > local_from)),
  constraint polling_hours_interval_is_positive CHECK ((check_interval > '00:00:00'::interval)),
  constraint polling_hours_weekdays_are_iso CHECK ((((weekday_from >= 1) AND (weekday_from <= 7)) AND ((weekday_until >= weekday_from) AND (weekday_until <= 7))))
);
alter table bookpost_private.polling_hours enable row level security;
alter table bookpost_private.polling_hours force row level security;
create policy worker_does_all on bookpost_private.polling_hours for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.polling_hours is 'The hours in which news of a stage come, by the wall clock where the parcel is, and how often to look in them.';
comment on column bookpost_private.polling_hours.day is 'estimated: a day of the carrier''s estimate; ahead: the estimate is for a later day; other: there is none, or it has passed; any: whatever it is.';
comment on column bookpost_private.polling_hours.weekday_from is 'ISO: Monday is 1, Sunday 7.';
grant delete, insert, select, update on bookpost_private.polling_hours to bookpost_worker;

create table bookpost_private.polling_policies (
  id integer generated always as identity not null,
  api_code text,
  status text not null,
  check_interval interval not null,
  max_check_interval interval default '1 day'::interval not null,
  clockless_interval interval not null,
  lengthen_by double precision not null,
  silent_after interval not null,
  constraint polling_policies_pkey PRIMARY KEY (id),
  constraint polling_policies_one_per_api_and_status UNIQUE NULLS NOT DISTINCT (status, api_code),
  constraint polling_policies_api_code_fkey FOREIGN KEY (api_code) REFERENCES bookpost.carrier_apis(code) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint polling_policies_status_fkey FOREIGN KEY (status) REFERENCES bookpost.parcel_statuses(status) ON UPDATE CASCADE ON DELETE CASCADE,
  constraint polling_policies_intervals_are_positive CHECK (((check_interval > '00:00:00'::interval) AND (max_check_interval >= check_interval) AND (max_check_interval <= '1 day'::interval) AND (clockless_interval > '00:00:00'::interval) AND (silent_after > '00:00:00'::interval) AND (silent_after <= '1 year'::interval))),
  constraint polling_policies_silence_never_hastens CHECK (((lengthen_by >= (0)::double precision) AND (lengthen_by <= (10)::double precision)))
);
alter table bookpost_private.polling_policies enable row level security;
alter table bookpost_private.polling_policies force row level security;
create policy worker_does_all on bookpost_private.polling_policies for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.polling_policies is 'How often a parcel is looked up, by its status: one row for every API (api_code null) and, where an API needs its own, a row that replaces it together with its hours.';
comment on column bookpost_private.polling_policies.check_interval is 'Between two looks, outside the hours in polling_hours.';
comment on column bookpost_private.polling_policies.max_check_interval is 'Silence never makes it longer than this; at most a day, because next_check_at reads the hours of today and tomorrow.';
comment on column bookpost_private.polling_policies.clockless_interval is 'Between two looks where nobody knows what the clock shows at the parcel: hours and estimates are left aside.';
comment on column bookpost_private.polling_policies.lengthen_by is 'Each answer in a row without news makes every interval longer by this part of it.';
comment on column bookpost_private.polling_policies.silent_after is 'So long without news, and no estimate ahead: max_check_interval at any hour.';
grant delete, insert, select, update on bookpost_private.polling_policies to bookpost_worker;

create table bookpost_private.routes (
  route text not null,
  failure_count integer default 0 not null,
  not_before timestamp with time zone,
  last_error text,
  last_failed_at timestamp with time zone,
  constraint routes_pkey PRIMARY KEY (route)
);
alter table bookpost_private.routes enable row level security;
alter table bookpost_private.routes force row level security;
create policy worker_does_all on bookpost_private.routes for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.routes is 'Ways to people that are in trouble: email, sms, or webhook:<endpoint>. While not_before is to come, messages that way wait without being tried.';
grant delete, insert, select, update on bookpost_private.routes to bookpost_worker;

create table bookpost_private.tracking_link_tokens (
  link_id uuid not null,
  token_hash bytea not null,
  constraint tracking_link_tokens_pkey PRIMARY KEY (link_id),
  constraint tracking_link_tokens_are_unique UNIQUE (token_hash),
  constraint tracking_link_tokens_link_id_fkey FOREIGN KEY (link_id) REFERENCES bookpost.tracking_links(id) ON DELETE CASCADE,
  constraint tracking_link_tokens_are_sha256 CHECK ((length(token_hash) = 32))
);
alter table bookpost_private.tracking_link_tokens enable row level security;
alter table bookpost_private.tracking_link_tokens force row level security;
create policy worker_does_all on bookpost_private.tracking_link_tokens for all to bookpost_worker using (true) with check (true);
grant delete, insert, select, update on bookpost_private.tracking_link_tokens to bookpost_worker;

create table bookpost_private.unsubscribe_tokens (
  user_id uuid not null,
  token uuid default gen_random_uuid() not null,
  constraint unsubscribe_tokens_pkey PRIMARY KEY (user_id),
  constraint unsubscribe_tokens_token_is_unique UNIQUE (token),
  constraint unsubscribe_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookpost.users(id) ON DELETE CASCADE
);
alter table bookpost_private.unsubscribe_tokens enable row level security;
alter table bookpost_private.unsubscribe_tokens force row level security;
create policy worker_does_all on bookpost_private.unsubscribe_tokens for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.unsubscribe_tokens is 'What an email''s link to unsubscribe carries: 122 random bits, and no right but this one.';
grant delete, insert, select, update on bookpost_private.unsubscribe_tokens to bookpost_worker;

create table bookpost_private.webhook_secrets (
  endpoint_id uuid not null,
  secret text not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  ends_at timestamp with time zone,
  constraint webhook_secrets_pkey PRIMARY KEY (endpoint_id, secret),
  constraint webhook_secrets_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES bookpost.webhook_endpoints(id) ON DELETE CASCADE,
  constraint webhook_secrets_secret_is_standard CHECK (((secret COLLATE "C") ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$'::text))
);
alter table bookpost_private.webhook_secrets enable row level security;
alter table bookpost_private.webhook_secrets force row level security;
create policy worker_does_all on bookpost_private.webhook_secrets for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.webhook_secrets is 'What messages to an endpoint are signed with. After a rotation the old secret signs beside the new one until ends_at.';
grant delete, insert, select, update on bookpost_private.webhook_secrets to bookpost_worker;

create table bookpost_private.worker_deaths (
  worker_id text not null,
  host_name text not null,
  process_id integer not null,
  started_at timestamp with time zone not null,
  beat_at timestamp with time zone not null,
  found_at timestamp with time zone default clock_timestamp() not null,
  interrupted_lookups integer default 0 not null,
  stale_results integer default 0 not null
);
CREATE INDEX worker_deaths_found_at_idx ON bookpost_private.worker_deaths USING btree (found_at);
alter table bookpost_private.worker_deaths enable row level security;
alter table bookpost_private.worker_deaths force row level security;
create policy worker_does_all on bookpost_private.worker_deaths for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.worker_deaths is 'Workers that stopped beating without signing off, found by sweep: killed, crashed, frozen or cut off. Kept for 30 days.';
comment on column bookpost_private.worker_deaths.interrupted_lookups is 'Lookups it had under way.';
comment on column bookpost_private.worker_deaths.stale_results is 'Answers that it sent after it had been given up and before it beat again, and that changed nothing.';
grant delete, insert, select, update on bookpost_private.worker_deaths to bookpost_worker;

create table bookpost_private.workers (
  id text not null,
  host_name text not null,
  process_id integer not null,
  started_at timestamp with time zone default now() not null,
  beating_since timestamp with time zone default clock_timestamp() not null,
  beat_at timestamp with time zone default clock_timestamp() not null,
  clock_ahead interval,
  api_fingerprints jsonb default '{}'::jsonb not null,
  channels text[] default '{}'::text[] not null,
  stale_results integer default 0 not null,
  constraint workers_pkey PRIMARY KEY (id)
) with (fillfactor=50);
alter table bookpost_private.workers enable row level security;
alter table bookpost_private.workers force row level security;
create policy worker_does_all on bookpost_private.workers for all to bookpost_worker using (true) with check (true);
comment on table bookpost_private.workers is 'Which worker processes are alive, and which APIs each has credentials for (api code to a fingerprint of them).';
comment on column bookpost_private.workers.beating_since is 'Since when it has beaten without a gap.';
comment on column bookpost_private.workers.clock_ahead is 'How far its wall clock is ahead of the database''s (negative: behind), as it measured last; null: not yet.';
comment on column bookpost_private.workers.channels is 'By which channels it can send messages.';
comment on column bookpost_private.workers.stale_results is 'Answers that came after their lease was gone, and changed nothing.';
grant delete, insert, select, update on bookpost_private.workers to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.accepted_number(tracking_number text)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_number text := bookpost.normalize_tracking_number(accepted_number.tracking_number);
begin
  if v_number is null or v_number collate "C" !~ '^[A-Z0-9]{4,40}$' then
    raise exception 'A tracking number has 4 to 40 letters and digits; "%" has not.', left(coalesce(accepted_number.tracking_number, ''), 60)
      using errcode = 'BP400';
  end if;
  return v_number;
end;
$function$;
comment on function bookpost_private.accepted_number(text) is 'The number in the form in which it is stored. Raises BP400 for what can be none.';
grant execute on function bookpost_private.accepted_number(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.acquire_lookups(parcel_ids uuid[], worker_id text)
 RETURNS TABLE(parcel_id uuid, verdict text, retry_at timestamp with time zone, lookup_id uuid, batch_id uuid, api_code text, carrier_code text, tracking_number text, is_probe boolean, wait_ms integer, use_within_ms integer)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
declare
  v_locked uuid[];
  v_ready bookpost_private.checks[];
  v_check bookpost_private.checks;
  v_api bookpost.carrier_apis;
  v_budget bookpost_private.budgets;
  v_circuit bookpost.carrier_circuits;
  v_allowance bookpost_private.call_allowance;
  v_day record;
  v_hold record;
  v_code text;
  v_now timestamptz;
  v_grant integer;
  v_generation integer;
  v_probe_id uuid;
  v_worst_probe uuid;
  v_is_better_due boolean;
  v_call record;
  v_in_flight integer;
  v_batch_id uuid;
  v_room integer;
  v_calls integer;
  v_refusal text;
  v_until timestamptz;
  v_turn interval;
  v_line timestamptz;
  -- Chosen: who finds the line longer is sent by a later dispatch, which knows by then how much flows in a minute.
  v_longest_line constant interval := '1 minute';
begin
  -- skip locked: whoever holds it is acquiring or recording this parcel now; to us it is busy.
  select coalesce(array_agg(c.parcel_id), '{}') into v_locked
  from (
    select k.parcel_id from bookpost_private.checks k
    where k.parcel_id = any (acquire_lookups.parcel_ids)
    order by k.parcel_id
    for no key update skip locked
  ) c;

  -- A second statement, so that a lease committed while we waited for nothing is seen.
  for parcel_id, verdict, retry_at in
    select
      i.id,
      case
        when k.parcel_id is null then 'gone'
        when not (i.id = any (v_locked)) then 'busy'
        when exists (select from bookpost_private.leases l where l.parcel_id = i.id) then 'busy'
        when k.pause_reason is not null then k.pause_reason
        else 'not_due'
      end,
      k.next_check_at
    from unnest(acquire_lookups.parcel_ids) i (id)
    left join bookpost_private.checks k on k.parcel_id = i.id
    where k.parcel_id is null
      or not (i.id = any (v_locked))
      or k.next_check_at is null
      or k.next_check_at > clock_timestamp()
      or exists (select from bookpost_private.leases l where l.parcel_id = i.id)
  loop
    v_locked := array_remove(v_locked, parcel_id);
    return next;
  end loop;

  -- All budgets before any circuit. Rivals for them wait here for our commit, and then count with it.
  perform 1
  from bookpost_private.budgets b
  where b.api_code in (select k.api_code from bookpost_private.checks k where k.parcel_id = any (v_locked))
  order by b.api_code
  for no key update;

  for v_code in
    select distinct k.api_code from bookpost_private.checks k where k.parcel_id = any (v_locked) order by k.api_code
  loop
    select * into strict v_budget from bookpost_private.budgets b where b.api_code = v_code;
    v_now := clock_timestamp();
    select * into strict v_api from bookpost.carrier_apis a where a.code = v_code;
    select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = v_code;
    select * into strict v_hold from bookpost_private.hold(v_code) h;
    select * into strict v_day from bookpost_private.day_of(v_now, v_api.day_time_zone) d;
    v_allowance := bookpost_private.read_allowance(v_code, v_now);
    select count(distinct l.batch_id) into v_in_flight from bookpost_private.leases l where l.api_code = v_code;
    v_worst_probe := null;
    v_is_better_due := false;
    if v_circuit.state <> 'closed' then
      v_worst_probe := bookpost_private.last_failed_parcel(v_code);
      -- The one that failed last is better than none.
      v_is_better_due := exists (
        select from bookpost_private.checks k
        where k.api_code = v_code and k.next_check_at <= v_now and k.parcel_id <> v_worst_probe
          and not (k.day = v_day.day and k.day_calls >= coalesce(v_api.calls_per_parcel_per_day, 2147483647))
          and not exists (select from bookpost_private.leases l where l.parcel_id = k.parcel_id)
      );
    end if;
    select array_agg(k order by
        k.parcel_id is not distinct from v_worst_probe, v_circuit.state <> 'closed' and k.failure_count > 0,
        k.next_check_at - k.head_start, k.parcel_id
      ) into v_ready
    from bookpost_private.checks k where k.parcel_id = any (v_locked) and k.api_code = v_code;

    v_batch_id := null;
    v_room := 0;
    v_calls := 0;
    v_grant := 0;
    v_generation := v_circuit.generation;
    v_probe_id := null;
    v_turn := null;
    v_refusal := v_hold.reason;
    v_until := v_hold.until;
    -- Another worker's credentials ended the parking; this one still has those that were refused.
    if v_refusal is null and v_budget.parked_fingerprint = (
      select w.api_fingerprints ->> v_code from bookpost_private.workers w where w.id = acquire_lookups.worker_id
    ) then
      v_refusal := 'parked';
      v_until := null;
    end if;

    foreach v_check in array v_ready loop
      parcel_id := v_check.parcel_id;
      api_code := v_code;
      verdict := v_refusal;
      retry_at := v_until;
      lookup_id := null;
      batch_id := null;
      carrier_code := null;
      tracking_number := null;
      is_probe := false;
      wait_ms := null;
      use_within_ms := null;

      -- What stands in the way of this one and of all after it.
      if v_refusal is null and v_probe_id is not null then
        v_refusal := 'circuit_half_open';
        v_until := v_now + v_api.lease_duration;
      elsif v_refusal is null and v_room = 0 and v_in_flight + v_calls >= v_api.calls_in_flight then
        v_refusal := 'no_budget';
        -- One comes back each turn, no faster than they go out: a permit may lie seconds ahead (next_call). Who finds no place
        -- stands in line behind all who found none before: else thousands would ask again every second for a few places. Its
        -- length holds for one written before the clock was set back, too.
        v_turn := greatest(
          bookpost_private.call_duration(v_code) / v_api.calls_in_flight,
          v_allowance.release_spacing, (select max(s.spacing) from unnest(v_allowance.spacings) s (spacing))
        );
        v_line := greatest(v_now + v_turn * (v_api.calls_in_flight - 1), v_budget.waiting_until);
      end if;
      if v_turn is not null then
        v_line := least(v_line + v_turn / v_api.batch_size, v_now + v_longest_line);
        -- Those that may share a request are told the same moment.
        v_until := date_bin(v_turn, v_line, timestamptz 'epoch') + v_turn;
      end if;
      -- What stands in the way of this one only.
      if v_refusal is not null then
        verdict := v_refusal;
        retry_at := v_until;
      elsif v_check.day = v_day.day and v_check.day_calls >= v_api.calls_per_parcel_per_day then
        verdict := 'no_budget';
        retry_at := v_day.ends_at + bookpost_private.day_margin();
      elsif v_is_better_due and v_check.parcel_id = v_worst_probe then
        -- Dispatch sends another, which may be the probe; what failed last had better not.
        verdict := 'circuit_half_open';
        retry_at := v_now + interval '1 minute';
      elsif v_room = 0 then
        -- One that shares the request before it costs nothing more; this one begins a request.
        select * into strict v_call
        from bookpost_private.next_call(v_allowance, v_now, bookpost_private.is_urgent(v_check.next_check_at - v_check.head_start, v_now));
        if v_call.call_at is null then
          verdict := 'no_budget';
          retry_at := v_call.retry_at;
          -- Later ones queue up behind, at the API's pace.
          if v_call.is_paced then
            v_allowance.refused_at := retry_at;
          end if;
        end if;
      end if;

      -- Only now, when nothing else stands in the way: the one probe.
      if verdict is null and v_circuit.state <> 'closed' then
        v_probe_id := gen_random_uuid();
        v_generation := bookpost_private.claim_probe(v_code, v_probe_id);
        if v_generation is null then
          v_probe_id := null;
          v_refusal := 'circuit_half_open';
          v_until := v_now + v_api.lease_duration;
          verdict := v_refusal;
          retry_at := v_until;
        end if;
      end if;
      if verdict is not null then
        return next;
        continue;
      end if;

      verdict := 'permit';
      is_probe := v_probe_id is not null;
      lookup_id := coalesce(v_probe_id, gen_random_uuid());
      select p.carrier_code, p.tracking_number into carrier_code, tracking_number
      from bookpost.parcels p where p.id = v_check.parcel_id;
      if v_room = 0 then
        v_batch_id := gen_random_uuid();
        v_room := v_api.batch_size;
        v_calls := v_calls + 1;
        v_allowance := bookpost_private.spend_call(v_allowance, v_call.call_at);
      end if;
      batch_id := v_batch_id;
      insert into bookpost_private.leases
        (parcel_id, lookup_id, batch_id, api_code, generation, is_probe, worker_id, started_at, call_at, lease_until, calls)
      values (
        v_check.parcel_id, lookup_id, v_batch_id, v_code, v_generation, is_probe, acquire_lookups.worker_id,
        v_now, v_call.call_at, v_call.call_at + v_api.lease_duration, (v_room = v_api.batch_size)::integer
      );
      v_room := v_room - 1;
      wait_ms := bookpost_private.milliseconds(v_call.call_at - v_now);
      use_within_ms := bookpost_private.milliseconds(coalesce(v_allowance.use_within, v_api.lease_duration / 2));
      v_grant := v_grant + 1;
      return next;
    end loop;

    if v_grant > 0 then
      perform bookpost_private.write_allowance(v_allowance);
    end if;
    if v_turn is not null then
      update bookpost_private.budgets b set waiting_until = v_line where b.api_code = v_code;
    end if;
  end loop;
end;
$function$;
comment on function bookpost_private.acquire_lookups(uuid[],text) is 'For each parcel a permit (with the lookup''s id, when to call and within how long, and the batch: those with one batch_id share one request) or a verdict: busy, gone, not_due, closed, no_api, quarantined, circuit_open, circuit_half_open, not_before, no_budget, parked; retry_at says until when. A refused parcel is not written. A permit pays for one request. Does not commit; commit before calling the carrier.';
grant execute on function bookpost_private.acquire_lookups(uuid[],text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.add_delivery_jobs(delivery_ids uuid[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select graphile_worker.add_jobs(array(
    select (
      'send_' || d.channel, json_build_object('deliveryId', d.id),
      bookpost_private.delivery_queue(d), d.due_at, 3, 'delivery:' || d.id, null, null
    )::graphile_worker.job_spec
    from bookpost_private.deliveries d where d.id = any (delivery_ids)
    order by d.due_at, d.id
  ));
$function$;
comment on function bookpost_private.add_delivery_jobs(uuid[]) is 'Queues a send_email, send_sms or send_webhook job for each of these messages at its due_at, in place of the one it has. Does not commit.';
grant execute on function bookpost_private.add_delivery_jobs(uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.at_most(at timestamp with time zone, most timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (at > most) THEN most ELSE at END;
grant execute on function bookpost_private.at_most(timestamp with time zone,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.beat(worker_id text, host_name text, process_id integer, api_fingerprints jsonb, clock_ahead interval DEFAULT NULL::interval)
 RETURNS timestamp with time zone
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 INSERT INTO bookpost_private.workers AS w (id, host_name, process_id, api_fingerprints, clock_ahead)
   VALUES (beat.worker_id, beat.host_name, beat.process_id, beat.api_fingerprints, beat.clock_ahead) ON CONFLICT(id) DO UPDATE SET beat_at = clock_timestamp(), api_fingerprints = excluded.api_fingerprints, clock_ahead = excluded.clock_ahead, beating_since =
         CASE
             WHEN ((w.beat_at < (clock_timestamp() - bookpost_private.dead_after())) OR (w.beating_since > clock_timestamp())) THEN clock_timestamp()
             ELSE w.beating_since
         END;
 WITH parked AS (
          SELECT k.api_code
            FROM bookpost_private.budgets k
           WHERE ((k.parked_at IS NOT NULL) AND (beat.api_fingerprints ? k.api_code) AND ((beat.api_fingerprints ->> k.api_code) IS DISTINCT FROM k.parked_fingerprint))
           ORDER BY k.api_code
          FOR NO KEY UPDATE OF k
         )
  UPDATE bookpost_private.budgets b SET parked_at = NULL::timestamp with time zone, parked_reason = NULL::text
    FROM parked
   WHERE (b.api_code = parked.api_code);
 SELECT clock_timestamp() AS clock_timestamp;
END;
comment on function bookpost_private.beat(text,text,integer,jsonb,interval) is 'Keeps this worker alive in the eyes of the others (every second) and ends the parking of an API that it has other credentials for. Returns the database''s clock, by which the worker finds out how far its own is ahead: what it tells at the next beat.';
grant execute on function bookpost_private.beat(text,text,integer,jsonb,interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.begin_delivery(delivery_id uuid, worker_id text)
 RETURNS TABLE(verdict text, reason text, attempt integer, message jsonb)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.begin_delivery(uuid,text) is 'Says what is to be done with a message. send: it is this worker''s attempt, and here is all that it says; to be told with end_delivery. wait: not now, for that reason; its job is queued anew. ended: there is nothing to do. Consent, quiet hours, caps and newer news are looked at here. Does not commit.';
grant execute on function bookpost_private.begin_delivery(uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.call_burst(call_window interval)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN (call_window >= '00:01:00'::interval) THEN (call_window / (25)::double precision) ELSE '00:00:00'::interval END;
grant execute on function bookpost_private.call_burst(interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.call_duration(api_code text)
 RETURNS interval
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT LEAST('00:00:20'::interval, GREATEST('00:00:00.01'::interval, COALESCE(avg(c.duration), '00:00:01'::interval))) AS "least"
    FROM ( SELECT k.duration
            FROM bookpost_private.carrier_calls k
           WHERE ((k.api_code = call_duration.api_code) AND (k.kind = 'lookup'::text))
           ORDER BY k.called_at DESC
          LIMIT 20) c;
END;
grant execute on function bookpost_private.call_duration(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.call_slack(call_window interval)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN LEAST((call_window / (10)::double precision), ('00:00:00.5'::interval + (call_window / (120)::double precision)));
grant execute on function bookpost_private.call_slack(interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.call_spacing(call_window interval, calls integer)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN (((call_window + bookpost_private.call_slack(call_window)) + bookpost_private.call_burst(call_window)) / (calls)::double precision);
comment on function bookpost_private.call_spacing(interval,integer) is 'The distance between two calls at which `calls` in any `call_window` are never exceeded, late ones included.';
grant execute on function bookpost_private.call_spacing(interval,integer) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.claim_probe(api_code text, lookup_id uuid)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_now timestamptz := clock_timestamp();
  v_lease interval;
begin
  -- skip locked: whoever finds the row taken is simply not the prober, and waits for nothing.
  select a.lease_duration into v_lease
  from bookpost.carrier_circuits c
  join bookpost.carrier_apis a on a.code = c.api_code
  where c.api_code = claim_probe.api_code
    and ((c.state = 'open' and c.open_until <= v_now) or (c.state = 'half_open' and c.probe_until <= v_now))
  for no key update of c skip locked;
  if not found then
    return null;
  end if;
  return bookpost_private.move_circuit(
    claim_probe.api_code, 'half_open', 'cooldown has passed: one probe goes out', array[claim_probe.lookup_id],
    probe_lookup_id => claim_probe.lookup_id, probe_for => v_lease
  );
end;
$function$;
comment on function bookpost_private.claim_probe(text,uuid) is 'The new generation if this lookup is the probe; null if the circuit is not ready for one or another lookup has it. Does not commit.';
grant execute on function bookpost_private.claim_probe(text,uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.clamp_deadlines(dispatched_at timestamp with time zone)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_now timestamptz := clock_timestamp();
  v_late bigint[];
  v_messages uuid[];
  v_is_whole boolean := true;
begin
  -- skip locked, everywhere here: it is being written this moment, and the next dispatch looks again.

  -- The clock was set back since the last dispatch: what was written by the old time keeps its distance.
  if dispatched_at > v_now + interval '5 seconds' then
    with ahead as materialized (
      select k.parcel_id from bookpost_private.checks k
      where k.next_check_at > v_now and (k.last_looked_at > v_now or k.last_looked_at is null or k.last_outcome = 'interrupted')
    ),
    held as (
      select k.parcel_id from bookpost_private.checks k
      where k.parcel_id in (select a.parcel_id from ahead a) and k.next_check_at > v_now
      order by k.parcel_id
      for no key update skip locked
    ),
    mended as (
      update bookpost_private.checks c
      set next_check_at = case
          when c.last_looked_at > v_now then greatest(v_now, least(c.next_check_at, v_now + (c.next_check_at - c.last_looked_at)))
          else v_now
        end,
        last_looked_at = bookpost_private.at_most(c.last_looked_at, v_now),
        last_answered_at = bookpost_private.at_most(c.last_answered_at, v_now),
        last_changed_at = bookpost_private.at_most(c.last_changed_at, v_now)
      from held h where c.parcel_id = h.parcel_id
      returning c.parcel_id
    )
    select (select count(*) from mended) = (select count(*) from ahead) into v_is_whole;

    -- What was counted for a day to come was spent on this one.
    update bookpost_private.checks c
    set day = n.day
    from bookpost.carrier_apis a
    cross join lateral (select (v_now at time zone a.day_time_zone)::date as day) n
    where a.code = c.api_code and a.calls_per_parcel_per_day is not null and c.day > n.day
      and c.parcel_id in (select k.parcel_id from bookpost_private.checks k where k.day > n.day order by k.parcel_id for no key update skip locked);
    -- Dispatch and snoozing look a minute ahead.
    select array_agg(j.id) into v_late
    from graphile_worker.jobs j
    where j.task_identifier = 'track_book' and j.locked_at is null and j.run_at > v_now + interval '5 minutes';
  end if;

  update bookpost_private.leases l
  set started_at = least(l.started_at, v_now), call_at = least(l.call_at, v_now + interval '10 seconds'),
    lease_until = v_now + a.lease_duration
  from bookpost.carrier_apis a
  where a.code = l.api_code
    -- 5 seconds of waiting for its moment (next_call), and as much to spare.
    and l.lease_until > v_now + a.lease_duration + interval '10 seconds'
    and l.lookup_id in (select h.lookup_id from bookpost_private.leases h where h.lease_until > v_now for update skip locked);

  update bookpost_private.budgets b
  set not_before = bookpost_private.at_most(b.not_before, v_now + interval '25 hours 10 seconds'),
    next_release_at = least(b.next_release_at, v_now + a.release_duration),
    -- What was counted for a day to come was spent on this one.
    day = least(b.day, n.day)
  from bookpost.carrier_apis a
  cross join lateral (select (v_now at time zone a.day_time_zone)::date as day) n
  where a.code = b.api_code
    -- A day, with the hour that the end of summer time adds.
    and (b.not_before > v_now + interval '25 hours 10 seconds' or b.next_release_at > v_now + a.release_duration + interval '10 seconds' or b.day > n.day)
    and b.api_code in (select k.api_code from bookpost_private.budgets k order by k.api_code for no key update skip locked);

  -- A whole window passes: what was called in it before the clock was set back is then out of it.
  update bookpost_private.call_windows w
  set next_call_at = v_now + w.call_window + bookpost_private.call_slack(w.call_window)
  where w.next_call_at > v_now + 2 * w.call_window + interval '10 seconds'
    and w.api_code in (select k.api_code from bookpost_private.budgets k order by k.api_code for no key update skip locked);

  update bookpost.carrier_circuits c
  set open_until = bookpost_private.at_most(c.open_until, v_now + n.open_for),
    forced_until = bookpost_private.at_most(c.forced_until, v_now + n.open_for),
    probe_until = bookpost_private.at_most(c.probe_until, v_now + a.lease_duration),
    released_at = bookpost_private.at_most(c.released_at, v_now),
    opened_at = bookpost_private.at_most(c.opened_at, v_now)
  from bookpost.carrier_apis a
  cross join lateral (values (true, interval '30 days'), (false, a.max_cooldown)) n (is_forced, open_for)
  where a.code = c.api_code and n.is_forced = c.is_forced
    -- 5 seconds: what others have written since this began is no jump.
    and greatest(
      c.open_until - n.open_for, c.forced_until - n.open_for, c.probe_until - a.lease_duration, c.released_at
    ) > v_now + interval '5 seconds'
    and c.api_code in (select k.api_code from bookpost.carrier_circuits k order by k.api_code for no key update skip locked);

  -- A channel's longest wait: its last delay and a fifth more, or the day that retry_after allows, or the 25 hours to the end
  -- of quiet hours. Their jobs lie as far away as they do: add_delivery_jobs takes them along.
  with late as (
    update bookpost_private.deliveries d set due_at = v_now
    where d.due_at > v_now + interval '30 hours'
      and d.id in (
        select w.id from bookpost_private.deliveries w
        where w.state in ('queued', 'sending') and w.due_at > v_now + interval '30 hours'
        for no key update skip locked
      )
    returning d.id
  )
  select array_agg(l.id) into v_messages from late l;
  if v_messages is not null then
    perform bookpost_private.add_delivery_jobs(v_messages);
  end if;
  update bookpost_private.routes r set not_before = v_now
  where r.not_before > v_now + interval '24 hours 10 seconds'
    and r.route in (
      select w.route from bookpost_private.routes w where w.not_before > v_now + interval '24 hours 10 seconds' for no key update skip locked
    );

  if v_late is not null then
    perform graphile_worker.reschedule_jobs(v_late, run_at => v_now);
  end if;
  return v_is_whole;
end;
$function$;
comment on function bookpost_private.clamp_deadlines(timestamp with time zone) is 'Brings every stored deadline that is further away than its maximum back to it. Where the last dispatch lies in the future, the clock was set back: then also each parcel''s next look. Returns false where some parcel was in another''s hands: it wants to be called with the same time again. Does not commit.';
grant execute on function bookpost_private.clamp_deadlines(timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.close_finished_parcels(parcel_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_parcel record;
begin
  for v_parcel in
    select p.id,
      case p.status when 'cancelled' then 'cancelled' when 'return_to_sender' then 'returned' else 'delivered' end as reason
    from bookpost.parcels p
    where p.id = any (parcel_ids) and p.closed_at is null
      and (
        p.status = 'cancelled'
        -- A return with a time of delivery has arrived where it came from.
        or (p.status = 'return_to_sender' and (p.delivered_at is not null or p.delivered_local_time is not null))
        or (
          p.status in ('delivered', 'return_to_sender')
          and coalesce(p.delivered_at, p.delivered_local_time at time zone 'UTC', p.status_changed_at) < now() - interval '7 days'
        )
      )
    order by p.id
  loop
    perform bookpost_private.close_parcel(v_parcel.id, v_parcel.reason);
  end loop;
end;
$function$;
grant execute on function bookpost_private.close_finished_parcels(uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.close_forsaken_parcels(parcel_ids uuid[] DEFAULT NULL::uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_parcel_id uuid;
  v_noted uuid[];
begin
  -- Of parcels that are gone altogether.
  if parcel_ids is null then
    delete from bookpost_private.forsaken_parcels f
    where f.ctid in (
      select o.ctid from bookpost_private.forsaken_parcels o
      where not exists (select from bookpost_private.checks c where c.parcel_id = o.parcel_id)
      for update skip locked
    );
  end if;

  for v_parcel_id in
    select c.parcel_id
    from bookpost_private.checks c
    where c.parcel_id in (select f.parcel_id from bookpost_private.forsaken_parcels f)
      and (parcel_ids is null or c.parcel_id = any (parcel_ids))
    order by c.parcel_id
    for no key update skip locked
  loop
    -- Its worker is paying for a request this moment, and waits for a budget: whoever waited for it here, with circuits in
    -- hand, would close the ring. The next sweep looks again.
    perform 1 from bookpost_private.leases l where l.parcel_id = v_parcel_id for update skip locked;
    continue when not found and exists (select from bookpost_private.leases l where l.parcel_id = v_parcel_id);
    -- The notes first, then the relations: what is committed in between has its own note, which stays.
    with read as (
      delete from bookpost_private.forsaken_parcels f where f.parcel_id = v_parcel_id returning f.parcel_id
    )
    select array_agg(read.parcel_id) into v_noted from read;
    if v_noted is not null
      and not exists (select from bookpost.parcel_books pb where pb.parcel_id = v_parcel_id and pb.stopped_at is null)
    then
      perform bookpost_private.close_parcel(v_parcel_id, 'stopped')
      from bookpost.parcels p where p.id = v_parcel_id and p.closed_at is null;
    end if;
  end loop;
end;
$function$;
grant execute on function bookpost_private.close_forsaken_parcels(uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.close_parcel(parcel_id uuid, reason text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_lease bookpost_private.leases;
begin
  delete from bookpost_private.leases l where l.parcel_id = close_parcel.parcel_id
  returning l.* into v_lease;
  update bookpost.parcels p set closed_at = clock_timestamp(), closed_reason = close_parcel.reason
  where p.id = close_parcel.parcel_id and p.closed_at is null;
  update bookpost_private.checks c set next_check_at = null, pause_reason = 'closed' where c.parcel_id = close_parcel.parcel_id;
  if v_lease.is_probe then
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe''s parcel was closed');
  end if;
end;
$function$;
grant execute on function bookpost_private.close_parcel(uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.comparable_value(declared_value numeric, declared_currency text)
 RETURNS numeric
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (NULLIF(declared_value, 'NaN'::numeric) / (CASE WHEN (declared_currency = ANY (ARRAY['BIF'::text, 'CLP'::text, 'DJF'::text, 'GNF'::text, 'ISK'::text, 'JPY'::text, 'KMF'::text, 'KRW'::text, 'PYG'::text, 'RWF'::text, 'UGX'::text, 'UYI'::text, 'VND'::text, 'VUV'::text, 'XAF'::text, 'XOF'::text, 'XPF'::text])) THEN 100 ELSE 1 END)::numeric);
grant execute on function bookpost_private.comparable_value(numeric,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.confirm_lookups(lookup_ids uuid[])
 RETURNS TABLE(lookup_id uuid, refusal text, retry_at timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT i.id,
         CASE
             WHEN (l.lookup_id IS NULL) THEN 'gone'::text
             WHEN ((c.state = 'half_open'::text) AND (c.probe_lookup_id = l.lookup_id)) THEN NULLIF(h.reason, 'circuit_half_open'::text)
             WHEN (h.reason IS NOT NULL) THEN h.reason
             WHEN (c.generation <> l.generation) THEN 'circuit_open'::text
             ELSE NULL::text
         END AS "case",
     h.until
    FROM (((unnest(confirm_lookups.lookup_ids) i(id)
      LEFT JOIN bookpost_private.leases l ON ((l.lookup_id = i.id)))
      LEFT JOIN bookpost.carrier_circuits c ON ((c.api_code = l.api_code)))
      LEFT JOIN LATERAL bookpost_private.hold(l.api_code) h(reason, until) ON (true));
END;
comment on function bookpost_private.confirm_lookups(uuid[]) is 'For permits that were not used at once: null where the request may still go out, otherwise why not (gone: the lease is no longer held) and until when.';
grant execute on function bookpost_private.confirm_lookups(uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.copy_rows(of_table regclass, key_column text, key uuid, changes jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.copy_rows(regclass,text,uuid,jsonb) is 'Copies the rows of a table whose key_column is key, with these columns changed. Does not commit.';
grant execute on function bookpost_private.copy_rows(regclass,text,uuid,jsonb) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.crashes_tolerated()
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN 1;
grant execute on function bookpost_private.crashes_tolerated() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.current_parcel(book uuid)
 RETURNS uuid
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT pb.parcel_id
    FROM (bookpost.parcel_books pb
      JOIN bookpost.parcels p ON ((p.id = pb.parcel_id)))
   WHERE (pb.book_id = current_parcel.book)
   ORDER BY ((pb.stopped_at IS NULL) AND (p.closed_at IS NULL)) DESC, pb.started_at DESC, pb.parcel_id
  LIMIT 1;
END;
grant execute on function bookpost_private.current_parcel(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.day_allowance(calls_per_day integer, elapsed double precision, is_urgent boolean)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN (LEAST((calls_per_day)::double precision, (floor(((calls_per_day)::double precision * elapsed)) + (GREATEST((1)::numeric, floor(((calls_per_day)::numeric * CASE WHEN is_urgent THEN 0.25 ELSE 0.05 END))))::double precision)))::integer;
comment on function bookpost_private.day_allowance(integer,double precision,boolean) is 'How many of a day''s calls may have been made when `elapsed` (0 to 1) of the day has passed.';
grant execute on function bookpost_private.day_allowance(integer,double precision,boolean) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.day_allows_at(calls_per_day integer, day_calls integer, is_urgent boolean, starts_at timestamp with time zone, ends_at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN (day_calls >= calls_per_day) THEN (ends_at + bookpost_private.day_margin()) ELSE (starts_at + ((ends_at - starts_at) * GREATEST((0)::double precision, ((((day_calls + 1) - bookpost_private.day_allowance(calls_per_day, (0)::double precision, is_urgent)))::double precision / (calls_per_day)::double precision)))) END;
grant execute on function bookpost_private.day_allows_at(integer,integer,boolean,timestamp with time zone,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.day_margin()
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN '00:00:05'::interval;
grant execute on function bookpost_private.day_margin() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.day_of(at timestamp with time zone, day_time_zone text)
 RETURNS TABLE(day date, starts_at timestamp with time zone, ends_at timestamp with time zone)
 LANGUAGE sql
 STABLE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT d.day,
     ((d.day)::timestamp without time zone AT TIME ZONE day_of.day_time_zone) AS timezone,
     (((d.day + 1))::timestamp without time zone AT TIME ZONE day_of.day_time_zone) AS timezone
    FROM ( SELECT ((day_of.at AT TIME ZONE day_of.day_time_zone))::date AS day) d;
END;
grant execute on function bookpost_private.day_of(timestamp with time zone,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.dead_after()
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN '00:00:05'::interval;
grant execute on function bookpost_private.dead_after() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.default_owner()
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.default_owner() is 'Whose book it is when nobody is named: the one person of a bookpost without an app (app_user_id local).';
grant execute on function bookpost_private.default_owner() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.delivery_queue(delivery bookpost_private.deliveries)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT ((bookpost_private.route_of(delivery_queue.delivery) || ':'::text) || ((hashtext(((delivery_queue.delivery).user_id)::text) & 2147483647) % c.queues))
    FROM bookpost_private.channels c
   WHERE (c.channel = (delivery_queue.delivery).channel);
END;
grant execute on function bookpost_private.delivery_queue(bookpost_private.deliveries) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.disable_endpoint(endpoint_id uuid, reason text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.disable_endpoint(uuid,text) is 'Sends nothing more to an endpoint; what waits for it is dead, and can be sent again once it is enabled. Its owner is told by email unless she did it herself. Does not commit.';
grant execute on function bookpost_private.disable_endpoint(uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.dispatch()
 RETURNS TABLE(api_code text, reason text, dispatched integer)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_gate record;
  v_now timestamptz;
  v_worst_probe uuid;
  v_spacing interval;
  v_queued integer;
  v_chosen uuid[];
  v_is_clamped boolean;
  -- Chosen: what a minute can take at most (gate says no more either), and chunks that keep memory flat.
  v_most constant integer := 100000;
  v_chunk constant integer := 5000;
begin
  -- One dispatcher at a time. A second one waits for it, since what it was woken for may have been committed after the
  -- first had looked. A third returns at once with nothing: the one that waits has not looked yet, and will see it all.
  if not pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('bookpost.dispatch.next')) then
    return;
  end if;
  begin
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('bookpost.dispatch'));
  exception
    when others or query_canceled then
      perform pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('bookpost.dispatch.next'));
      raise;
  end;
  perform pg_catalog.pg_advisory_unlock(pg_catalog.hashtext('bookpost.dispatch.next'));

  perform bookpost_private.sweep(true);
  perform bookpost_private.quarantine_failed_parcels();
  perform bookpost_private.try_quarantined_parcel();
  perform bookpost_private.repair_deliveries();
  select bookpost_private.clamp_deadlines(d.dispatched_at) into strict v_is_clamped from bookpost_private.dispatch_clock d;
  -- Only now: what these have made due goes with this dispatch.
  v_now := clock_timestamp();
  -- Nobody waits for this row: dispatchers go one at a time, others only read it. Where a parcel was left out, the time in
  -- the future stays, and with it the next sweep's wish for another dispatch.
  update bookpost_private.dispatch_clock d set dispatched_at = v_now where v_is_clamped;

  for v_gate in
    select a.code, coalesce(a.calls_per_parcel_per_day, 2147483647) as calls_per_parcel_per_day,
      (v_now at time zone a.day_time_zone)::date as today, g.*
    from bookpost.carrier_apis a cross join lateral bookpost_private.gate(a.code) g
    order by a.code
  loop
    api_code := v_gate.code;
    reason := v_gate.reason;
    dispatched := 0;
    if v_gate.urgent_allowance > 0 then
      v_worst_probe := case when v_gate.reason = 'probe' then bookpost_private.last_failed_parcel(v_gate.code) end;

      with due as (
        -- The longest overdue; who of them goes first is said below.
        select c.parcel_id, c.next_check_at - c.head_start as turn_at, bookpost_private.is_urgent(c.next_check_at - c.head_start, v_now) as is_urgent,
          c.failure_count
        from bookpost_private.checks c
        where c.api_code = v_gate.code and c.next_check_at <= v_now
          -- One whose own calls of the day are spent would be refused, and another had not been sent.
          and not (c.day = v_gate.today and c.day_calls >= v_gate.calls_per_parcel_per_day)
        order by c.next_check_at, c.parcel_id
        limit v_most
      ),
      queued as materialized (
        select d.parcel_id, j.locked_at is null and j.attempts < j.max_attempts as is_waiting
        from due d
        -- One that failed for good counts too: setting its parcel aside is quarantine's business. One that is
        -- locked for longer than any lookup takes was stranded; the lease still guards its parcel.
        join graphile_worker.jobs j on j.key = 'parcel:' || d.parcel_id
        where j.locked_at is null or j.locked_at > v_now - interval '5 minutes'
      ),
      fresh as (
        select d.*,
          row_number() over (
            order by d.parcel_id is not distinct from v_worst_probe, v_gate.reason is not distinct from 'probe' and d.failure_count > 0, d.turn_at, d.parcel_id
          ) as place,
          row_number() over (partition by d.is_urgent order by d.turn_at, d.parcel_id) as urgent_place
        from due d
        where not exists (select from queued q where q.parcel_id = d.parcel_id)
          and not exists (select from bookpost_private.leases l where l.parcel_id = d.parcel_id)
      ),
      waiting as (
        -- They take their part of the coming minute.
        select count(*) as n from queued q where q.is_waiting
      )
      select (select w.n from waiting w), array_agg(f.parcel_id order by f.place)
      into v_queued, v_chosen
      from fresh f, waiting w
      where f.place <= v_gate.allowance - w.n
        -- There is one probe, whoever is urgent.
        or (v_gate.reason is distinct from 'probe' and f.is_urgent and f.urgent_place <= v_gate.urgent_allowance - w.n);
    else
      v_chosen := null;
    end if;
    dispatched := coalesce(array_length(v_chosen, 1), 0);

    -- At the API's pace; where that is slower than one a minute and more are let through, within the minute. What may be in
    -- flight goes at once, the rest as those come back.
    v_spacing := greatest(
      v_gate.release_spacing, least(v_gate.spacing, interval '1 minute' / greatest(1, (dispatched - 1) / v_gate.batch_size))
    );
    for i in 0 .. (dispatched - 1) / v_chunk loop
      exit when dispatched = 0;
      perform graphile_worker.add_jobs(array(
        select (
          'track_book', json_build_object('parcelId', c.parcel_id), null,
          v_gate.next_call_at + greatest(v_spacing * r.request, v_gate.flow_spacing * (r.request - v_gate.calls_in_flight)),
          3, 'parcel:' || c.parcel_id, null, null
        )::graphile_worker.job_spec
        from unnest(v_chosen[i * v_chunk + 1 : (i + 1) * v_chunk]) with ordinality c (parcel_id, place)
        cross join lateral (select (v_queued + i * v_chunk + c.place - 1) / v_gate.batch_size as request) r
        order by c.place
      ));
    end loop;
    return next;
  end loop;
end;
$function$;
comment on function bookpost_private.dispatch() is 'Queues one track_book job for each due parcel whose API may be asked, spread over the coming minute at the API''s pace. Where not all can go, those whose turn it is (longest due, with their head start) go first. One row per API: how many, and the reason where it was held back. No rows: one is running and another waits already, which will see all that this one would have. Does not commit.';
grant execute on function bookpost_private.dispatch() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.end_delivery(delivery_id uuid, attempt integer, outcome text, error text DEFAULT NULL::text, retry_after_ms double precision DEFAULT NULL::double precision, provider_id text DEFAULT NULL::text)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.end_delivery(uuid,integer,text,text,double precision,text) is 'Writes down how an attempt ended (a word of delivery_outcomes) and what follows: the end, or the next attempt by the channel''s schedule, not before retry_after_ms. Returns the state it is left in; null where the attempt is not the last one: then nothing was changed. Does not commit.';
grant execute on function bookpost_private.end_delivery(uuid,integer,text,text,double precision,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.end_delivery_as(delivery_id uuid, state text, reason text)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 UPDATE bookpost_private.deliveries d SET state = end_delivery_as.state, reason = end_delivery_as.reason, ended_at = clock_timestamp()
   WHERE (d.id = end_delivery_as.delivery_id);
END;
grant execute on function bookpost_private.end_delivery_as(uuid,text,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.end_expired_holds()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_circuit record;
begin
  -- skip locked: someone is moving it this moment; the next sweep looks again.
  for v_circuit in
    select c.api_code, c.state, a.cooldown
    from bookpost.carrier_circuits c join bookpost.carrier_apis a on a.code = c.api_code
    where c.is_forced and c.forced_until <= clock_timestamp()
    order by c.api_code
    for no key update of c skip locked
  loop
    perform bookpost_private.move_circuit(
      v_circuit.api_code, v_circuit.state, 'the hold by hand has ended',
      open_for => case when v_circuit.state = 'open' then interval '0' end,
      cooldown => case when v_circuit.state = 'open' then v_circuit.cooldown end
    );
  end loop;
end;
$function$;
grant execute on function bookpost_private.end_expired_holds() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.estimate_ends_at(estimated_until timestamp without time zone, is_estimate_a_date boolean, time_zone text)
 RETURNS timestamp with time zone
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (((estimated_until + CASE WHEN is_estimate_a_date THEN '24:00:00'::interval ELSE '00:00:00'::interval END) - CASE WHEN (time_zone = 'UTC'::text) THEN '00:00:00'::interval WHEN ((time_zone COLLATE "C") ~ '^[+-](0[0-9]|1[0-4]):[0-5][0-9]$'::text) THEN make_interval(hours => ("left"(time_zone, 3))::integer, mins => (("left"(time_zone, 1) || "right"(time_zone, 2)))::integer) ELSE '-12:00:00'::interval END) AT TIME ZONE 'UTC'::text);
comment on function bookpost_private.estimate_ends_at(timestamp without time zone,boolean,text) is 'The instant at which an estimate has certainly passed: its latest time, or the end of its last day, by the offset that the carrier gave, else everywhere on Earth. Null where there is no estimate; never an error, whatever the zone.';
grant execute on function bookpost_private.estimate_ends_at(timestamp without time zone,boolean,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.fold_status(parcel_id uuid, is_return boolean, told_status text, present_status text)
 RETURNS TABLE(status text, reason_code text, is_action_required boolean, delivered_at timestamp with time zone, delivered_local_time timestamp without time zone, delivered_time_zone text, is_set_aside boolean)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 WITH scans AS NOT MATERIALIZED (
          SELECT e.parcel_id,
             e.identity,
             e.occurred_at,
             e.local_time,
             e.time_zone,
             e.is_date_only,
             e.raw_time,
             e.status,
             e.raw_code,
             e.is_code_listed,
             e.description,
             e.location,
             e.country_code,
             e.reason_code,
             e.is_action_required,
             e.sort_at,
             e.sort_rank,
             e.first_seen_at,
             bookpost_private.is_of_earlier_life(e.occurred_at, e.local_time, e.is_date_only, p.sent_on, p.created_at) AS is_earlier
            FROM (bookpost.tracking_events e
              JOIN bookpost.parcels p ON ((p.id = e.parcel_id)))
           WHERE (e.parcel_id = fold_status.parcel_id)
         ), newest AS (
          SELECT e.status,
             e.reason_code,
             e.is_action_required
            FROM scans e
           WHERE ((e.status <> 'unknown'::text) AND (NOT e.is_earlier))
           ORDER BY e.sort_at DESC, e.sort_rank DESC, e.identity DESC
          LIMIT 1
         ), earlier AS (
          SELECT (EXISTS ( SELECT
                    FROM scans e
                   WHERE e.is_earlier)) AS is_told,
             (NOT (EXISTS ( SELECT
                    FROM scans e
                   WHERE (NOT e.is_earlier)))) AS is_all
         ), stage AS (
          SELECT COALESCE(( SELECT n.status
                    FROM newest n),
                 CASE
                     WHEN (r.is_told AND r.is_all) THEN 'pending'::text
                     WHEN (NOT r.is_told) THEN NULLIF(fold_status.told_status, 'unknown'::text)
                     ELSE NULL::text
                 END, NULLIF(fold_status.present_status, 'pending'::text), 'unknown'::text) AS status,
             (r.is_told AND r.is_all) AS is_set_aside
            FROM earlier r
         ), delivery AS (
          SELECT e.occurred_at,
             e.local_time,
             e.time_zone
            FROM scans e,
             stage s_1
           WHERE ((e.status = 'delivered'::text) AND (s_1.status = 'delivered'::text) AND (NOT e.is_earlier))
           ORDER BY e.sort_at DESC, e.sort_rank DESC, e.identity DESC
          LIMIT 1
         )
  SELECT
         CASE
             WHEN (fold_status.is_return AND (s.status = ANY (ARRAY['in_transit'::text, 'out_for_delivery'::text, 'available_for_pickup'::text, 'exception'::text, 'delivered'::text]))) THEN 'return_to_sender'::text
             ELSE s.status
         END AS status,
     ( SELECT n.reason_code
            FROM newest n) AS reason_code,
     COALESCE(( SELECT n.is_action_required
            FROM newest n), false) AS "coalesce",
     d.occurred_at,
     d.local_time,
     d.time_zone,
     s.is_set_aside
    FROM (stage s
      LEFT JOIN delivery d ON (true));
END;
comment on function bookpost_private.fold_status(uuid,boolean,text,text) is 'The status told by a parcel''s scans, whatever the order they came in; told_status, and after it the present one, count only where no scan carries a stage. Scans of an earlier life of the number count for nothing; is_set_aside: there are no others, and the status is pending. A return that is delivered is return_to_sender with a delivery time. One row always.';
grant execute on function bookpost_private.fold_status(uuid,boolean,text,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.force_circuit(api_code text, to_state text, author text, reason text, hold_for interval DEFAULT '01:00:00'::interval)
 RETURNS bookpost.carrier_circuits
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_circuit bookpost.carrier_circuits;
begin
  if not exists (select from bookpost.carrier_circuits c where c.api_code = force_circuit.api_code) then
    raise exception 'There is no carrier API "%".', api_code using errcode = 'BP404', hint = 'bookpost circuits lists them.';
  end if;
  if to_state is null or to_state not in ('open', 'closed', 'reset') then
    raise exception 'A circuit can be forced open or closed, or reset; not "%".', to_state using errcode = 'BP400';
  end if;
  if hold_for is null or hold_for <= '0' or hold_for > '30 days' then
    raise exception 'A circuit can be held for up to 30 days; not for %.', hold_for using errcode = 'BP400';
  end if;
  if coalesce(author, '') !~ '[^[:space:]]' or coalesce(force_circuit.reason, '') !~ '[^[:space:]]' then
    raise exception 'Who moves a circuit by hand says who he is and why.' using errcode = 'BP400';
  end if;
  -- The budget before the circuit: the one lock order.
  if to_state = 'reset' then
    update bookpost_private.budgets b set
      not_before = null, not_before_reason = null, parked_at = null, parked_reason = null, parked_fingerprint = null
    where b.api_code = force_circuit.api_code;
  end if;
  perform bookpost_private.move_circuit(
    force_circuit.api_code,
    case when to_state = 'open' then 'open' else 'closed' end,
    force_circuit.reason,
    open_for => case when to_state = 'open' then hold_for end,
    cooldown => case when to_state = 'open' then hold_for end,
    forced_until => case when to_state <> 'reset' then clock_timestamp() + hold_for end,
    author => force_circuit.author
  );
  select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = force_circuit.api_code;
  return v_circuit;
end;
$function$;
comment on function bookpost_private.force_circuit(text,text,text,text,interval) is 'Holds a circuit open or closed for hold_for, or resets it (closed, not parked, no waiting). Logged with author and reason. Raises BP404 for an unknown API, BP400 for anything else that makes no sense.';
grant execute on function bookpost_private.force_circuit(text,text,text,text,interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.free_jobs(worker_ids text[], locked_before timestamp with time zone, kept_ids bigint[] DEFAULT '{}'::bigint[])
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_count integer;
begin
  -- A second caller waits here, looks at the row again and finds it free.
  update graphile_worker._private_jobs j
  set locked_at = null, locked_by = null, updated_at = now(), run_at = greatest(j.run_at, now()),
    -- Fetching counts as an attempt, whether or not it was begun. A parcel's crashes are counted by its lookups, a message's by itself.
    attempts = j.attempts - (
      j.attempts > 0 and j.task_id in (select t.id from graphile_worker._private_tasks t where t.identifier in ('track_book', 'send_email', 'send_sms', 'send_webhook'))
    )::integer
  where j.locked_by = any (worker_ids) and j.locked_at < locked_before and not (j.id = any (kept_ids));
  get diagnostics v_count = row_count;
  update graphile_worker._private_job_queues q set locked_at = null, locked_by = null
  where q.locked_by = any (worker_ids) and q.locked_at < locked_before
    and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id and j.locked_at is not null);
  return v_count;
end;
$function$;
comment on function bookpost_private.free_jobs(text[],timestamp with time zone,bigint[]) is 'Gives jobs that some workers locked before a time back to the queue, except those listed; a lookup''s or message''s attempt is given back with it. Returns how many. Does not commit.';
grant execute on function bookpost_private.free_jobs(text[],timestamp with time zone,bigint[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.free_strays(worker_id text, job_ids bigint[], lookup_ids uuid[])
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  -- A worker keeps the ids of ended jobs that long, and no answer takes it (src/ops/jobsInHand.ts, src/db/pool.ts).
  v_before constant timestamptz := clock_timestamp() - interval '10 seconds';
  v_lost uuid[];
  v_count integer := 0;
begin
  select array_agg(l.lookup_id) into v_lost
  from bookpost_private.leases l
  where l.worker_id = free_strays.worker_id and l.started_at < v_before and not (l.lookup_id = any (free_strays.lookup_ids));
  if v_lost is not null then
    v_count := bookpost_private.interrupt_lookups(v_lost, 'its worker never learnt that it had been permitted');
  end if;
  v_count := v_count + bookpost_private.free_jobs(array[free_strays.worker_id], v_before, job_ids);
  if v_count > 0 then
    perform bookpost_private.wake_dispatch();
  end if;
  return v_count;
end;
$function$;
comment on function bookpost_private.free_strays(text,bigint[],uuid[]) is 'Frees the jobs and lookups that this worker has had for 10 seconds in the database and that are not among those it has in hand. Returns how many. Does not commit.';
grant execute on function bookpost_private.free_strays(text,bigint[],uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.gate(api_code text)
 RETURNS TABLE(allowance integer, urgent_allowance integer, reason text, until timestamp with time zone, spacing interval, release_spacing interval, flow_spacing interval, next_call_at timestamp with time zone, pace interval, batch_size integer, calls_in_flight integer)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_api bookpost.carrier_apis;
  v_circuit bookpost.carrier_circuits;
  v_budget bookpost_private.budgets;
  v_window record;
  v_day record;
  v_now timestamptz := clock_timestamp();
  v_flow numeric;
  v_ends_soon boolean;
  v_used integer;
  v_slots integer;
  v_due integer;
  v_minute constant interval := '1 minute';
  -- Chosen: a minute's work at most; the next dispatch is a minute away.
  v_most constant integer := 100000;
begin
  select * into strict v_api from bookpost.carrier_apis a where a.code = gate.api_code;
  select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = gate.api_code;
  select * into strict v_budget from bookpost_private.budgets b where b.api_code = gate.api_code;

  batch_size := v_api.batch_size;
  calls_in_flight := v_api.calls_in_flight;
  -- A place that has become free is found by the queue's next poll, half of 100 ms later on average (graphile.config.ts).
  -- A tenth faster than they flow, so that a carrier that has become quicker is not kept idle (chosen).
  v_flow := v_api.calls_in_flight * 1.1 / extract(epoch from bookpost_private.call_duration(gate.api_code) + interval '50 milliseconds');
  flow_spacing := make_interval(secs => (1 / v_flow)::double precision);
  spacing := interval '0';
  release_spacing := interval '0';
  next_call_at := greatest(v_now, v_budget.next_release_at);
  -- More than can flow in a minute would only ask and be refused.
  v_slots := least(v_most, v_api.calls_in_flight + floor(extract(epoch from v_minute) * v_flow));
  for v_window in
    select bookpost_private.call_spacing(w.call_window, l.calls) as spacing, bookpost_private.call_burst(w.call_window) as burst,
      w.next_call_at
    from bookpost_private.call_windows w
    join bookpost.carrier_limits l on l.api_code = w.api_code and l.call_window = w.call_window
    where w.api_code = gate.api_code
  loop
    spacing := greatest(spacing, v_window.spacing);
    next_call_at := greatest(next_call_at, v_window.next_call_at - v_window.burst);
    v_slots := greatest(0, least(v_slots, 1 + floor(extract(epoch from
      -- NOTE: the later of the two first: before Postgres 17 nothing may be subtracted from -infinity.
      v_minute + v_window.burst - (greatest(v_window.next_call_at, v_now) - v_now)
    ) / extract(epoch from v_window.spacing))));
  end loop;
  allowance := v_slots;
  urgent_allowance := v_slots;
  pace := spacing;

  if v_api.calls_per_day is not null then
    select * into v_day from bookpost_private.day_of(v_now, v_api.day_time_zone);
    v_used := case when v_budget.day = v_day.day then v_budget.day_calls else 0 end;
    -- By the end of the coming minute; asking for permits tells each its moment.
    select
      least(v_slots, bookpost_private.day_allowance(v_api.calls_per_day, e.elapsed, false) - v_used),
      least(v_slots, bookpost_private.day_allowance(v_api.calls_per_day, e.elapsed, true) - v_used)
    into allowance, urgent_allowance
    from (
      select least(1, extract(epoch from v_now + v_minute - v_day.starts_at) / extract(epoch from v_day.ends_at - v_day.starts_at))::double precision
        as elapsed
    ) e;
    pace := greatest(pace, (v_day.ends_at - v_day.starts_at) / v_api.calls_per_day);
  end if;

  if v_circuit.state = 'closed' and v_circuit.released_at > v_now - v_api.release_duration then
    -- As far as it is worth counting: what is more than 10,000 goes when the release is over.
    select count(*) into v_due from (
      select from bookpost_private.checks k where k.api_code = gate.api_code and k.next_check_at <= v_now limit 10000
    ) due;
    -- One in six seconds stampedes nobody (chosen).
    v_slots := greatest(10, ceil(
      v_due * bookpost_private.released_share(v_now - v_circuit.released_at, v_api.release_duration, v_minute) / v_api.batch_size
    ));
    allowance := least(allowance, v_slots);
    urgent_allowance := least(urgent_allowance, v_slots);
    release_spacing := v_minute / v_slots;
  end if;

  select h.reason, h.until into reason, until from bookpost_private.hold(gate.api_code) h;
  -- A hold that ends soon must not cost the whole minute: what is sent is sent for its end (half a minute: chosen).
  v_ends_soon := coalesce(reason in ('not_before', 'no_budget') and until < v_now + v_minute / 2, false);
  if v_ends_soon then
    next_call_at := greatest(next_call_at, until);
  end if;
  if (reason is null or v_ends_soon) and urgent_allowance <= 0 then
    reason := 'no_budget';
    if v_slots = 0 then
      until := next_call_at;
    else
      until := bookpost_private.day_allows_at(v_api.calls_per_day, v_used, false, v_day.starts_at, v_day.ends_at);
    end if;
  -- Last of the refusals: a worker that asks for permits has credentials, and may pass this one only.
  elsif (reason is null or v_ends_soon) and not exists (
    select from bookpost_private.workers w
    where w.api_fingerprints ? gate.api_code
      -- Who has only the credentials that were refused last can ask nothing.
      and w.api_fingerprints ->> gate.api_code is distinct from v_budget.parked_fingerprint
  ) then
    reason := 'not_configured';
  end if;
  if reason is not null and not (v_ends_soon and reason in ('not_before', 'no_budget') and urgent_allowance > 0) then
    allowance := 0;
    urgent_allowance := 0;
  elsif v_circuit.state <> 'closed' then
    allowance := 1;
    urgent_allowance := 1;
    reason := 'probe';
  else
    -- Requests so far; each may ask about batch_size parcels.
    allowance := greatest(0, allowance) * batch_size;
    urgent_allowance := greatest(0, urgent_allowance) * batch_size;
    if allowance = 0 and not v_ends_soon then
      reason := 'no_budget';
      until := bookpost_private.day_allows_at(v_api.calls_per_day, v_used, false, v_day.starts_at, v_day.ends_at);
    end if;
  end if;
  return next;
end;
$function$;
comment on function bookpost_private.gate(text) is 'How many lookups of an API may be dispatched for the coming minute (urgent_allowance: of urgent ones); both 0 with the reason and its end, unless that is within half a minute; 1 with reason probe when a cooldown has passed. spacing: the least distance of two calls; release_spacing: the same while it recovers; flow_spacing: that at which its calls in flight end; pace: the distance at which its allowance is used up evenly.';
grant execute on function bookpost_private.gate(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.give_up_endpoint(delivery bookpost_private.deliveries)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if delivery.channel = 'webhook' and delivery.kind <> 'test' and not exists (
    select from bookpost_private.deliveries d
    where d.endpoint_id = delivery.endpoint_id and d.channel = 'webhook' and d.state = 'sent' and d.ended_at > delivery.created_at
  ) then
    perform bookpost_private.disable_endpoint(delivery.endpoint_id, 'failing');
  end if;
end;
$function$;
grant execute on function bookpost_private.give_up_endpoint(bookpost_private.deliveries) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.has_estimate_moved(told timestamp without time zone, estimate timestamp without time zone)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN COALESCE((((estimate - told) >= '1 day'::interval) OR ((told - estimate) >= '1 day'::interval)), false);
grant execute on function bookpost_private.has_estimate_moved(timestamp without time zone,timestamp without time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.head_start(status text, at timestamp with time zone, estimated_from timestamp without time zone, estimated_until timestamp without time zone, utc_offset interval, declared_value numeric)
 RETURNS interval
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT COALESCE(sum((h.head_start * (
         CASE h.reason
             WHEN 'tenfold_value'::text THEN LEAST(GREATEST((0)::numeric, (log(GREATEST(head_start.declared_value, (1)::numeric)) - (2)::numeric)), (( SELECT EXTRACT(epoch FROM m.head_start) AS "extract"
                FROM bookpost_private.head_starts m
               WHERE (m.reason = 'highest_value'::text)) / NULLIF(EXTRACT(epoch FROM h.head_start), (0)::numeric)))
             ELSE (1)::numeric
         END)::double precision)), '00:00:00'::interval) AS "coalesce"
    FROM bookpost_private.head_starts h
   WHERE ((h.reason = head_start.status) OR ((h.reason = 'near_estimate'::text) AND (head_start.status = ANY (ARRAY['in_transit'::text, 'exception'::text, 'unknown'::text])) AND ((((head_start.at AT TIME ZONE 'UTC'::text) + COALESCE(head_start.utc_offset, '00:00:00'::interval)) >= (date_trunc('day'::text, head_start.estimated_from) - '06:00:00'::interval)) AND (((head_start.at AT TIME ZONE 'UTC'::text) + COALESCE(head_start.utc_offset, '00:00:00'::interval)) <= (date_trunc('day'::text, head_start.estimated_until) + '2 days'::interval)))) OR ((h.reason = 'tenfold_value'::text) AND (head_start.declared_value > (100)::numeric)));
END;
comment on function bookpost_private.head_start(text,timestamp with time zone,timestamp without time zone,timestamp without time zone,interval,numeric) is 'A parcel''s head start at an instant: by status, by how near its estimate is (wall clock there, with the offset of its last scan), and by the declared value of what is in it.';
grant execute on function bookpost_private.head_start(text,timestamp with time zone,timestamp without time zone,timestamp without time zone,interval,numeric) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.hold(api_code text)
 RETURNS TABLE(reason text, until timestamp with time zone)
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT h.reason,
     h.until
    FROM (((((bookpost.carrier_apis a
      JOIN bookpost.carrier_circuits c ON ((c.api_code = a.code)))
      JOIN bookpost_private.budgets b ON ((b.api_code = a.code)))
      CROSS JOIN LATERAL ( SELECT clock_timestamp() AS now) n)
      CROSS JOIN LATERAL bookpost_private.day_of(n.now, a.day_time_zone) d(day, starts_at, ends_at))
      CROSS JOIN LATERAL ( SELECT
                 CASE
                     WHEN (b.parked_at IS NOT NULL) THEN 'parked'::text
                     WHEN (b.not_before > n.now) THEN 'not_before'::text
                     WHEN ((c.state = 'open'::text) AND (c.open_until > n.now)) THEN 'circuit_open'::text
                     WHEN ((c.state = 'half_open'::text) AND (c.probe_until > n.now)) THEN 'circuit_half_open'::text
                     WHEN ((a.calls_per_day IS NOT NULL) AND ((n.now > (d.ends_at - bookpost_private.day_margin())) OR (n.now < (d.starts_at + bookpost_private.day_margin())))) THEN 'no_budget'::text
                     ELSE NULL::text
                 END AS reason,
                 CASE
                     WHEN (b.parked_at IS NOT NULL) THEN NULL::timestamp with time zone
                     WHEN (b.not_before > n.now) THEN b.not_before
                     WHEN ((c.state = 'open'::text) AND (c.open_until > n.now)) THEN c.open_until
                     WHEN ((c.state = 'half_open'::text) AND (c.probe_until > n.now)) THEN c.probe_until
                     WHEN ((a.calls_per_day IS NOT NULL) AND (n.now > (d.ends_at - bookpost_private.day_margin()))) THEN (d.ends_at + bookpost_private.day_margin())
                     WHEN ((a.calls_per_day IS NOT NULL) AND (n.now < (d.starts_at + bookpost_private.day_margin()))) THEN (d.starts_at + bookpost_private.day_margin())
                     ELSE NULL::timestamp with time zone
                 END AS until) h)
   WHERE (a.code = hold.api_code);
END;
comment on function bookpost_private.hold(text) is 'Why an API may not be asked just now (parked, not_before, circuit_open, circuit_half_open; no_budget within seconds of its midnight) and until when; a null reason: it may.';
grant execute on function bookpost_private.hold(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.hold_route(route text, error text, retry_after_ms double precision)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 INSERT INTO bookpost_private.routes AS r (route, failure_count, not_before, last_error, last_failed_at)
   VALUES (hold_route.route, 1, (clock_timestamp() + GREATEST('00:00:05'::interval, bookpost_private.retry_after(hold_route.retry_after_ms))), hold_route.error, clock_timestamp()) ON CONFLICT(route) DO UPDATE SET failure_count = (r.failure_count + 1), not_before = GREATEST(excluded.not_before, (clock_timestamp() + LEAST('00:05:00'::interval, ('00:00:05'::interval * power((2)::double precision, (LEAST(r.failure_count, 6))::double precision))))), last_error = excluded.last_error, last_failed_at = excluded.last_failed_at;
END;
grant execute on function bookpost_private.hold_route(text,text,double precision) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.interrupt_lookups(lookup_ids uuid[], why text, is_crash boolean DEFAULT false)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_leases bookpost_private.leases[];
  v_lease bookpost_private.leases;
  -- One moment for all: who goes first among them is then no accident.
  v_now constant timestamptz := clock_timestamp();
begin
  -- skip locked: the lookup is being recorded this moment, so it is not lost.
  perform 1
  from bookpost_private.checks c
  where c.parcel_id in (select l.parcel_id from bookpost_private.leases l where l.lookup_id = any (lookup_ids))
  order by c.parcel_id
  for no key update skip locked;

  with gone as (
    delete from bookpost_private.leases l
    where l.lookup_id = any (lookup_ids)
      and l.parcel_id in (
        -- Only rows whose check we hold: asking again for a lock that is ours is free, one that is not is skipped.
        select c.parcel_id from bookpost_private.checks c
        where c.parcel_id in (select l2.parcel_id from bookpost_private.leases l2 where l2.lookup_id = any (lookup_ids))
        for no key update skip locked
      )
      -- skip locked: its worker is paying for a request this moment, so it lives.
      and l.lookup_id in (select h.lookup_id from bookpost_private.leases h where h.lookup_id = any (lookup_ids) for update skip locked)
    returning l.*
  )
  select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;

  -- Whether its request went out is not known: it counts for the parcel's day.
  update bookpost_private.checks c
  set next_check_at = case when not n.is_set_aside
      then greatest(v_now, bookpost_private.parcel_may_be_asked_at(l.api_code, n.day, n.day_calls))
    end,
    pause_reason = case when n.is_set_aside then 'quarantined' end,
    last_outcome = 'interrupted', day = n.day, day_calls = n.day_calls, crash_count = n.crash_count,
    last_error = case when is_crash then format('A worker died while it looked, %s in a row.', n.crash_count) else interrupt_lookups.why end
  from unnest(v_leases) l
  join bookpost_private.checks k on k.parcel_id = l.parcel_id
  join bookpost.carrier_apis a on a.code = l.api_code
  cross join lateral bookpost_private.day_of(v_now, a.day_time_zone) d
  cross join lateral (
    select d.day, case when k.day = d.day then k.day_calls else 0 end + 1 as day_calls, k.crash_count + is_crash::integer as crash_count,
      is_crash and k.crash_count >= bookpost_private.crashes_tolerated() as is_set_aside
  ) n
  where c.parcel_id = l.parcel_id and c.next_check_at is not null;

  insert into bookpost_private.lookups
    (id, parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, finished_at, outcome, error_code, error_message, calls)
  select l.lookup_id, l.parcel_id, l.batch_id, l.api_code, l.generation, l.is_probe, l.worker_id, l.started_at, clock_timestamp(),
    'interrupted', case when is_crash then 'CRASHED' else 'INTERRUPTED' end, interrupt_lookups.why, 0
  from unnest(v_leases) l;

  for v_lease in select l.* from unnest(v_leases) l where l.is_probe order by l.api_code loop
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe was interrupted: ' || interrupt_lookups.why);
  end loop;

  return coalesce(array_length(v_leases, 1), 0);
end;
$function$;
grant execute on function bookpost_private.interrupt_lookups(uuid[],text,boolean) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.is_of_earlier_life(occurred_at timestamp with time zone, local_time timestamp without time zone, is_date_only boolean, sent_on date, tracked_since timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (COALESCE(occurred_at, ((local_time AT TIME ZONE 'UTC'::text) + CASE WHEN is_date_only THEN '48:00:00'::interval ELSE '24:00:00'::interval END)) < (COALESCE(((sent_on)::timestamp without time zone AT TIME ZONE 'UTC'::text), tracked_since) - '336:00:00'::interval));
comment on function bookpost_private.is_of_earlier_life(timestamp with time zone,timestamp without time zone,boolean,date,timestamp with time zone) is 'Whether a scan is of an earlier parcel with the same number: certainly more than 14 days (336 hours) before the day on which this one was sent, or, where nobody said it, before it was first tracked. In doubt (no zone, only a date) it is not.';
grant execute on function bookpost_private.is_of_earlier_life(timestamp with time zone,timestamp without time zone,boolean,date,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.is_shared(parcel_id uuid, owner uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT (EXISTS ( SELECT
            FROM bookpost.parcel_books pb
           WHERE ((pb.parcel_id = is_shared.parcel_id) AND (pb.owner_id <> is_shared.owner) AND (pb.stopped_at IS NULL)))) AS "exists";
END;
comment on function bookpost_private.is_shared(uuid,uuid) is 'Whether others than this owner wait for the parcel. Stays true or false while the lock on its check is held, but for others'' ends.';
grant execute on function bookpost_private.is_shared(uuid,uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.is_urgent(turn_at timestamp with time zone, at timestamp with time zone)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN (turn_at <= (at - '12:00:00'::interval));
comment on function bookpost_private.is_urgent(timestamp with time zone,timestamp with time zone) is 'Whether a parcel whose turn was at turn_at (next_check_at - head_start) may use what is kept in hand of the day.';
grant execute on function bookpost_private.is_urgent(timestamp with time zone,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.items_to_tell(delivery bookpost_private.deliveries)
 RETURNS SETOF uuid
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 WITH items AS (
          SELECT n.id,
             n.user_id,
             n.book_id,
             n.parcel_id,
             n.kind,
             n.status,
             n.status_version,
             n.notice_version,
             n.is_action_required,
             n.detail,
             n.location,
             n.occurred_at,
             n.local_time,
             n.time_zone,
             n.is_date_only,
             n.estimated_from,
             n.estimated_until,
             n.estimated_time_zone,
             n.is_estimate_a_date,
             n.created_at,
             n.read_at
            FROM ((bookpost_private.delivery_items i_1
              JOIN bookpost_private.deliveries d ON ((d.id = i_1.delivery_id)))
              JOIN bookpost.notifications n ON ((n.id = i_1.notification_id)))
           WHERE ((d.id = (items_to_tell.delivery).id) OR (d.digest_id = (items_to_tell.delivery).id))
         )
  SELECT i.id
    FROM (items i
      JOIN bookpost_private.channels c ON ((c.channel = (items_to_tell.delivery).channel)))
   WHERE ((NOT (c.supersedes AND (EXISTS ( SELECT
            FROM (bookpost.notifications o
              JOIN bookpost_private.delivery_items t ON (((t.notification_id = o.id) AND (t.channel = c.channel))))
           WHERE ((o.user_id = i.user_id) AND (o.book_id = i.book_id) AND (o.parcel_id = i.parcel_id) AND ((o.status_version > i.status_version) OR ((o.status_version = i.status_version) AND (o.kind = i.kind) AND (o.notice_version > i.notice_version)))))))) AND (NOT ((c.damping IS NOT NULL) AND (i.kind = ANY (ARRAY['stage'::text, 'action_required'::text])) AND COALESCE(( SELECT ((COALESCE(g.state, d.state) = 'sent'::text) AND (o.status = i.status) AND (o.created_at > (i.created_at - c.damping)))
            FROM (((bookpost.notifications o
              JOIN bookpost_private.delivery_items t ON (((t.notification_id = o.id) AND (t.channel = c.channel) AND t.is_told)))
              JOIN bookpost_private.deliveries d ON ((d.id = t.delivery_id)))
              LEFT JOIN bookpost_private.deliveries g ON ((g.id = d.digest_id)))
           WHERE ((o.user_id = i.user_id) AND (o.book_id = i.book_id) AND (o.parcel_id = i.parcel_id) AND (o.kind = i.kind) AND ((COALESCE(g.state, d.state) = ANY (ARRAY['sent'::text, 'sending'::text])) OR COALESCE(g.is_doubtful, d.is_doubtful)) AND (ROW(o.status_version, COALESCE(o.notice_version, 0)) < ROW(i.status_version, COALESCE(i.notice_version, 0))))
           ORDER BY o.status_version DESC, o.notice_version DESC
          LIMIT 1), false))));
END;
grant execute on function bookpost_private.items_to_tell(bookpost_private.deliveries) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.known_carrier(carrier text)
 RETURNS bookpost.carriers
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.known_carrier(text) is 'The carrier of a code. Raises BP400 where there is none.';
grant execute on function bookpost_private.known_carrier(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.last_failed_parcel(api_code text)
 RETURNS uuid
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT k.parcel_id
    FROM (bookpost.carrier_circuits c
      JOIN bookpost_private.lookups k ON ((k.id = c.failed_lookup_ids[cardinality(c.failed_lookup_ids)])))
   WHERE (c.api_code = last_failed_parcel.api_code)
  LIMIT 1;
END;
grant execute on function bookpost_private.last_failed_parcel(text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.live_parcel(carrier bookpost.carriers, tracking_number text)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.live_parcel(bookpost.carriers,text) is 'The live parcel of a carrier''s number, made where there is none. Holds the lock on its check.';
grant execute on function bookpost_private.live_parcel(bookpost.carriers,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.make_code(person uuid)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  -- The last 48 bits of a version 4 UUID are random (RFC 9562, section 5.4), and Postgres takes them from its strong source.
  v_code text := lpad(((('x' || right(gen_random_uuid()::text, 12))::bit(48)::bigint) % 1000000)::text, 6, '0');
begin
  update bookpost_private.phone_verifications p set
    code_hash = sha256(convert_to(p.user_id || v_code, 'UTF8')), code_ends_at = clock_timestamp() + interval '10 minutes', tries = 0
  where p.user_id = make_code.person;
  return v_code;
end;
$function$;
grant execute on function bookpost_private.make_code(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.make_partitions(months integer DEFAULT 2)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_table text;
  v_key text;
  v_month timestamp;
  v_name text;
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('bookpost.make_partitions'));
  foreach v_table in array array['lookups', 'carrier_calls', 'carrier_answers'] loop
    if to_regclass(format('bookpost_private.%I', v_table || '_default')) is null then
      execute format('create table bookpost_private.%I partition of bookpost_private.%I default', v_table || '_default', v_table);
      perform bookpost_private.protect_table(format('bookpost_private.%I', v_table || '_default')::regclass);
    end if;
    v_key := case v_table when 'lookups' then 'finished_at' when 'carrier_calls' then 'called_at' else 'received_at' end;
    for i in 0 .. months loop
      v_month := date_trunc('month', now() at time zone 'UTC') + make_interval(months => i);
      v_name := v_table || '_' || to_char(v_month, 'YYYY_MM');
      if to_regclass(format('bookpost_private.%I', v_name)) is null then
        -- Made beside, filled with what the default partition has of this month, then attached: while such rows lie
        -- in the default, Postgres refuses a partition for them.
        execute format('create table bookpost_private.%I (like bookpost_private.%I including all)', v_name, v_table);
        execute format(
          'with moved as (delete from bookpost_private.%I where %I >= %L and %I < %L returning *) insert into bookpost_private.%I select * from moved',
          v_table || '_default', v_key, v_month at time zone 'UTC', v_key, (v_month + interval '1 month') at time zone 'UTC', v_name
        );
        execute format(
          'alter table bookpost_private.%I attach partition bookpost_private.%I for values from (%L) to (%L)',
          v_table, v_name, v_month at time zone 'UTC', (v_month + interval '1 month') at time zone 'UTC'
        );
        perform bookpost_private.protect_table(format('bookpost_private.%I', v_name)::regclass);
      end if;
    end loop;
  end loop;
end;
$function$;
comment on function bookpost_private.make_partitions(integer) is 'Makes the ledgers'' partitions for this month and the next ones. Run daily by the maintain task.';
grant execute on function bookpost_private.make_partitions(integer) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.make_secret()
 RETURNS text
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
RETURN ('whsec_'::text || encode(sha256(((uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) || uuid_send(gen_random_uuid()))), 'base64'::text));
grant execute on function bookpost_private.make_secret() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.may_act_for(owner uuid)
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT (COALESCE((owner = bookpost.current_user_id()), false) OR bookpost_private.may_act_for_all());
END;
comment on function bookpost_private.may_act_for(uuid) is 'Whether whoever asks may act for this person: she herself, and who may act for all.';
grant execute on function bookpost_private.may_act_for(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.may_act_for_all()
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT (pg_has_role(r.name, 'bookpost_operator'::name, 'usage'::text) OR pg_has_role(r.name, 'bookpost_worker'::name, 'usage'::text))
    FROM ( SELECT
                 CASE current_setting('role'::text)
                     WHEN 'none'::text THEN SESSION_USER
                     ELSE (current_setting('role'::text))::name
                 END AS current_setting) r(name);
END;
comment on function bookpost_private.may_act_for_all() is 'Whether whoever asks may act for every owner: an operator, a worker, the owner of the schemas, a superuser.';
grant execute on function bookpost_private.may_act_for_all() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.message_of(delivery bookpost_private.deliveries, notification_ids uuid[])
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT jsonb_build_object('id', (delivery).id, 'channel', (delivery).channel, 'kind', (delivery).kind, 'createdAt', (delivery).created_at, 'person', ( SELECT jsonb_build_object('id', u.id, 'appUserId', u.app_user_id, 'name', u.name, 'language', u.language, 'timeZone', u.time_zone, 'email',
                 CASE
                     WHEN ((message_of.delivery).channel = 'email'::text) THEN u.email
                     ELSE NULL::text
                 END, 'phoneNumber',
                 CASE
                     WHEN ((message_of.delivery).channel = 'sms'::text) THEN
                     CASE
                         WHEN ((message_of.delivery).kind = 'verification'::text) THEN ( SELECT v.phone_number
                            FROM bookpost_private.phone_verifications v
                           WHERE (v.user_id = u.id))
                         ELSE u.phone_number
                     END
                     ELSE NULL::text
                 END, 'unsubscribeToken',
                 CASE
                     WHEN ((message_of.delivery).channel = 'email'::text) THEN ( SELECT t.token
                        FROM bookpost_private.unsubscribe_tokens t
                       WHERE (t.user_id = u.id))
                     ELSE NULL::uuid
                 END) AS jsonb_build_object
            FROM bookpost.users u
           WHERE (u.id = (message_of.delivery).user_id)), 'endpoint', ( SELECT jsonb_build_object('id', e.id, 'url', e.url, 'description', e.description, 'disabledReason', e.disabled_reason, 'secrets',
                 CASE
                     WHEN ((message_of.delivery).channel = 'webhook'::text) THEN ( SELECT jsonb_agg(s.secret ORDER BY s.created_at DESC) AS jsonb_agg
                        FROM bookpost_private.webhook_secrets s
                       WHERE ((s.endpoint_id = e.id) AND ((s.ends_at IS NULL) OR (s.ends_at > clock_timestamp()))))
                     ELSE NULL::jsonb
                 END) AS jsonb_build_object
            FROM bookpost.webhook_endpoints e
           WHERE (e.id = (message_of.delivery).endpoint_id)), 'news', COALESCE(( SELECT jsonb_agg(jsonb_build_object('notificationId', n.id, 'kind', n.kind, 'status', n.status, 'statusVersion', n.status_version, 'isActionRequired', n.is_action_required, 'detail', n.detail, 'location', n.location, 'occurredAt', n.occurred_at, 'localTime', n.local_time, 'timeZone', n.time_zone, 'isDateOnly', n.is_date_only, 'estimatedFrom', n.estimated_from, 'estimatedUntil', n.estimated_until, 'estimatedTimeZone', n.estimated_time_zone, 'isEstimateADate', n.is_estimate_a_date, 'createdAt', n.created_at, 'book', jsonb_build_object('id', b.id, 'appBookId', b.app_book_id, 'title', b.title, 'author', b.author), 'parcel', jsonb_build_object('id', p.id, 'carrierCode', p.carrier_code, 'carrierName', c.name, 'trackingNumber', p.tracking_number, 'trackingPage', COALESCE(p.tracking_url, pb.tracking_url, replace(c.tracking_page, '{number}'::text, p.tracking_number)), 'usualPage', replace(c.tracking_page, '{number}'::text, p.tracking_number))) ORDER BY b.title, b.id, n.created_at, n.id) AS jsonb_agg
            FROM ((((bookpost.notifications n
              JOIN bookpost.books b ON ((b.id = n.book_id)))
              JOIN bookpost.parcels p ON ((p.id = n.parcel_id)))
              JOIN bookpost.carriers c ON ((c.code = p.carrier_code)))
              LEFT JOIN bookpost.parcel_books pb ON (((pb.book_id = n.book_id) AND (pb.parcel_id = n.parcel_id))))
           WHERE (n.id = ANY (message_of.notification_ids))), '[]'::jsonb)) AS jsonb_build_object;
END;
grant execute on function bookpost_private.message_of(bookpost_private.deliveries,uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.milliseconds(length interval)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (GREATEST((0)::numeric, ceil((EXTRACT(epoch FROM length) * (1000)::numeric))))::integer;
grant execute on function bookpost_private.milliseconds(interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.move_circuit(api_code text, to_state text, reason text, lookup_ids uuid[] DEFAULT '{}'::uuid[], open_for interval DEFAULT NULL::interval, cooldown interval DEFAULT NULL::interval, probe_lookup_id uuid DEFAULT NULL::uuid, probe_for interval DEFAULT NULL::interval, forced_until timestamp with time zone DEFAULT NULL::timestamp with time zone, author text DEFAULT NULL::text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_from bookpost.carrier_circuits;
  v_generation integer;
  v_now timestamptz := clock_timestamp();
begin
  -- A second caller waits here and then sees what the first one did.
  select * into strict v_from from bookpost.carrier_circuits c where c.api_code = move_circuit.api_code for no key update;

  update bookpost.carrier_circuits c set
    state = to_state,
    generation = c.generation + 1,
    consecutive_failures = case when to_state = 'closed' then 0 else c.consecutive_failures end,
    failed_lookup_ids = case when to_state = 'closed' then '{}' else c.failed_lookup_ids end,
    opened_at = case
      when to_state = 'closed' then null
      when v_from.state = 'closed' then v_now
      else c.opened_at
    end,
    open_until = case
      when to_state = 'closed' then null
      when to_state = 'open' then coalesce(v_now + open_for, move_circuit.forced_until)
      else c.open_until
    end,
    cooldown = case when to_state = 'closed' then null else coalesce(move_circuit.cooldown, c.cooldown) end,
    probe_lookup_id = case when to_state = 'half_open' then move_circuit.probe_lookup_id end,
    probe_until = case when to_state = 'half_open' then v_now + probe_for end,
    is_forced = move_circuit.forced_until is not null,
    forced_until = move_circuit.forced_until,
    released_at = case when to_state = 'closed' and v_from.state <> 'closed' then v_now else c.released_at end,
    changed_at = v_now
  where c.api_code = move_circuit.api_code
  returning c.generation into v_generation;

  insert into bookpost_private.circuit_transitions
    (api_code, generation, from_state, to_state, reason, lookup_ids, author)
  values (move_circuit.api_code, v_generation, v_from.state, to_state, move_circuit.reason, move_circuit.lookup_ids, move_circuit.author);

  return v_generation;
end;
$function$;
comment on function bookpost_private.move_circuit(text,text,text,uuid[],interval,interval,uuid,interval,timestamp with time zone,text) is 'The one place that changes a circuit''s state: raises the generation and logs why. Returns the new generation. Does not commit.';
grant execute on function bookpost_private.move_circuit(text,text,text,uuid[],interval,interval,uuid,interval,timestamp with time zone,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.next_call(allowance bookpost_private.call_allowance, at timestamp with time zone, is_urgent boolean)
 RETURNS TABLE(call_at timestamp with time zone, retry_at timestamp with time zone, is_paced boolean)
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_call_at timestamptz := greatest(at, allowance.next_release_at);
  v_spacing interval := allowance.release_spacing;
  -- Chosen: a permit may lie this far in the future; longer and the job would hold its slot for nothing.
  v_horizon constant interval := '5 seconds';
begin
  for i in 1 .. cardinality(allowance.windows) loop
    v_call_at := greatest(v_call_at, allowance.next_call_at[i] - allowance.bursts[i]);
    v_spacing := greatest(v_spacing, allowance.spacings[i]);
  end loop;
  is_paced := false;
  if allowance.day_calls >= bookpost_private.day_allowance(
    allowance.calls_per_day,
    extract(epoch from v_call_at - allowance.day_starts_at) / extract(epoch from allowance.day_ends_at - allowance.day_starts_at),
    is_urgent
  ) then
    retry_at := bookpost_private.day_allows_at(
      allowance.calls_per_day, allowance.day_calls, is_urgent, allowance.day_starts_at, allowance.day_ends_at
    );
  elsif allowance.calls_per_day is not null
    -- At its latest it would be too near to midnight.
    and v_call_at + coalesce(allowance.use_within, interval '0') > allowance.day_ends_at - bookpost_private.day_margin()
  then
    retry_at := allowance.day_ends_at + bookpost_private.day_margin();
  elsif v_call_at > at + v_horizon or allowance.refused_at is not null then
    retry_at := coalesce(allowance.refused_at + v_spacing, v_call_at);
    is_paced := true;
  else
    call_at := v_call_at;
  end if;
  return next;
end;
$function$;
comment on function bookpost_private.next_call(bookpost_private.call_allowance,timestamp with time zone,boolean) is 'When one more call may go out by all limits together; null where that is more than a few seconds away, and then retry_at. is_paced: for the pace, so that the next to ask gets a later time.';
grant execute on function bookpost_private.next_call(bookpost_private.call_allowance,timestamp with time zone,boolean) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.next_check_at(api_code text, outcome text, status text, looked_at timestamp with time zone, last_changed_at timestamp with time zone, unchanged_count integer, failure_count integer, estimated_from timestamp without time zone, estimated_until timestamp without time zone, utc_offset interval, jitter double precision DEFAULT random())
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
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
$function$;
comment on function bookpost_private.next_check_at(text,text,text,timestamp with time zone,timestamp with time zone,integer,integer,timestamp without time zone,timestamp without time zone,interval,double precision) is 'When to look at a parcel again, after a look at looked_at that ended in outcome and left it in status. By the outcome''s back-off where it has one; else by the policy of the status for this API, its hours and the estimate (wall clock at the destination); looked_at itself where only the API''s own gate counts. utc_offset: of the newest scan, null where unknown. jitter: 0 to 1, the answer lies a tenth either way. Never null, never before looked_at. The API''s own limits are applied by the caller.';
grant execute on function bookpost_private.next_check_at(text,text,text,timestamp with time zone,timestamp with time zone,integer,integer,timestamp without time zone,timestamp without time zone,interval,double precision) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.notify_owners(changed_ids uuid[], called_ids uuid[] DEFAULT NULL::uuid[], moved_ids uuid[] DEFAULT NULL::uuid[], answered_ids uuid[] DEFAULT NULL::uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.notify_owners(uuid[],uuid[],uuid[],uuid[]) is 'Tells owners what is new of some parcels, and queues the messages: changed: the stage; called: the carrier waits for the recipient; moved: the estimate, by a day or more; answered: the carrier has answered, and whoever heard of the parcel for the first time by it is told its stage unless that is 72 hours old. One notification for each owner and book: the first of these that holds. Does not commit.';
grant execute on function bookpost_private.notify_owners(uuid[],uuid[],uuid[],uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.offer_channels(worker_id text, channels text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update bookpost_private.workers w set channels = offer_channels.channels
  where w.id = offer_channels.worker_id and w.channels <> offer_channels.channels;
  -- A second worker waits here, and then finds nothing to change.
  update bookpost_private.channels c set is_configured = n.is_configured
  from (
    select k.channel, k.channel = 'webhook' or exists (
      select from bookpost_private.workers w
      where k.channel = any (w.channels) and w.beat_at > clock_timestamp() - bookpost_private.dead_after()
    ) as is_configured
    from bookpost_private.channels k
  ) n
  where c.channel = n.channel and c.is_configured <> n.is_configured;
end;
$function$;
comment on function bookpost_private.offer_channels(text,text[]) is 'A living worker says by which channels it can send; said again every few seconds. A channel that no living worker offers is not configured, and no message is queued for it. While no worker lives, nothing changes. Does not commit.';
grant execute on function bookpost_private.offer_channels(text,text[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.own_book(book uuid)
 RETURNS bookpost.books
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_book bookpost.books;
begin
  select b.* into v_book from bookpost.books b where b.id = own_book.book;
  if not found or not bookpost_private.may_act_for(v_book.owner_id) then
    raise exception 'There is no book %.', own_book.book using errcode = 'BP404';
  end if;
  return v_book;
end;
$function$;
comment on function bookpost_private.own_book(uuid) is 'The book, for one who may act for its owner. Raises BP404 otherwise, whether there is such a book or not.';
grant execute on function bookpost_private.own_book(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.own_user(person uuid)
 RETURNS bookpost.users
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_id uuid := coalesce(own_user.person, bookpost.current_user_id());
  v_person bookpost.users;
begin
  if v_id is null then
    raise exception 'Nobody is named, and nobody is signed in.' using errcode = 'BP404';
  end if;
  select u.* into v_person from bookpost.users u where u.id = v_id;
  if not found or not bookpost_private.may_act_for(v_id) then
    raise exception 'There is no user %.', v_id using errcode = 'BP404';
  end if;
  return v_person;
end;
$function$;
comment on function bookpost_private.own_user(uuid) is 'The person, or where none is named the one who is signed in, for one who may act for her. Raises BP404 otherwise, whether there is such a person or not.';
grant execute on function bookpost_private.own_user(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.parcel_may_be_asked_at(api_code text, counted_day date, counted_calls integer)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT (d.ends_at + bookpost_private.day_margin())
    FROM (bookpost.carrier_apis a
      CROSS JOIN LATERAL bookpost_private.day_of(clock_timestamp(), a.day_time_zone) d(day, starts_at, ends_at))
   WHERE ((a.code = parcel_may_be_asked_at.api_code) AND (d.day = parcel_may_be_asked_at.counted_day) AND (parcel_may_be_asked_at.counted_calls >= a.calls_per_parcel_per_day));
END;
comment on function bookpost_private.parcel_may_be_asked_at(text,date,integer) is 'When the API''s next day begins, for a parcel whose calls of this day are spent; null: they are not, or are not limited.';
grant execute on function bookpost_private.parcel_may_be_asked_at(text,date,integer) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.part_from_newcomer(parcel_id uuid, newcomer uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.part_from_newcomer(uuid,uuid) is 'Before this owner joins a parcel: takes out of it what members said of it by hand, and those members with it, each to a closed copy of her own. An operator''s word stays: it is for all. Does not commit.';
grant execute on function bookpost_private.part_from_newcomer(uuid,uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.part_from_others(parcel_id uuid, owner uuid, closed_reason text)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.part_from_others(uuid,uuid,text) is 'A closed copy of a parcel with its scans, for this owner''s books in it, which leave the common one. Returns its id.';
grant execute on function bookpost_private.part_from_others(uuid,uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.pay_call(lookup_id uuid, kind text)
 RETURNS TABLE(refusal text, retry_at timestamp with time zone, wait_ms integer, use_within_ms integer)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_lease bookpost_private.leases;
  v_check bookpost_private.checks;
  v_api bookpost.carrier_apis;
  v_allowance bookpost_private.call_allowance;
  v_day record;
  v_call record;
  v_now timestamptz;
begin
  -- The lease before the budget. A second caller waits for the first; there is none but the lookup itself, and whoever
  -- takes the lease away.
  select l.* into v_lease from bookpost_private.leases l where l.lookup_id = pay_call.lookup_id for no key update;
  if not found then
    refusal := 'gone';
    return next;
    return;
  end if;
  -- Rivals for the budget wait here for our commit, and then count with it.
  perform 1 from bookpost_private.budgets b where b.api_code = v_lease.api_code for no key update;
  v_now := clock_timestamp();
  select * into strict v_api from bookpost.carrier_apis a where a.code = v_lease.api_code;
  select c.refusal, c.retry_at into refusal, retry_at
  from bookpost_private.confirm_lookups(array[pay_call.lookup_id]) c;
  if refusal is null and pay_call.kind = 'lookup' then
    -- Read, not locked: what is counted for the parcel is written by who holds the lease.
    select k.* into v_check from bookpost_private.checks k where k.parcel_id = v_lease.parcel_id;
    select d.* into strict v_day from bookpost_private.day_of(v_now, v_api.day_time_zone) d;
    -- The one that the permit paid for is not written down yet.
    if (case when v_check.day = v_day.day then v_check.day_calls else 0 end) + 1 >= v_api.calls_per_parcel_per_day then
      refusal := 'no_budget';
      retry_at := v_day.ends_at + bookpost_private.day_margin();
    end if;
  end if;
  if refusal is null then
    v_allowance := bookpost_private.read_allowance(v_lease.api_code, v_now);
    -- What has begun is finished: it may use what is kept in hand.
    select * into strict v_call from bookpost_private.next_call(v_allowance, v_now, true);
    if v_call.call_at is null then
      refusal := 'no_budget';
      retry_at := v_call.retry_at;
    else
      v_allowance := bookpost_private.spend_call(v_allowance, v_call.call_at);
      perform bookpost_private.write_allowance(v_allowance);
      update bookpost_private.leases l set
        calls = l.calls + (l.lookup_id = pay_call.lookup_id)::integer,
        lease_until = greatest(l.lease_until, v_call.call_at + v_api.lease_duration)
      where l.lookup_id in (
        -- All that share the request wait for its end. skip locked: that one is being recorded or taken away this moment.
        select m.lookup_id from bookpost_private.leases m where m.batch_id = v_lease.batch_id for no key update skip locked
      );
      wait_ms := bookpost_private.milliseconds(v_call.call_at - v_now);
      use_within_ms := bookpost_private.milliseconds(coalesce(v_allowance.use_within, v_api.lease_duration / 2));
    end if;
  end if;
  return next;
end;
$function$;
comment on function bookpost_private.pay_call(uuid,text) is 'Pays for one more request of a lookup under way (kind: lookup, token, register), and prolongs the leases of its batch: when to send it and within how long; or a refusal (gone, no_budget, or what holds the API back) and until when. Does not commit; commit before sending it.';
grant execute on function bookpost_private.pay_call(uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.protect_table(target regclass)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy worker_does_all on %s to bookpost_worker using (true) with check (true)', target);
  execute format('grant select, insert, update, delete on %s to bookpost_worker', target);
end;
$function$;
comment on function bookpost_private.protect_table(regclass) is 'Row-level security enabled and forced, everything allowed to bookpost_worker, nothing to anyone else. For migrations.';
grant execute on function bookpost_private.protect_table(regclass) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.prune_changes()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.prune_changes() is 'Removes changes of more than 30 days ago, 10,000 at most, and those that came with a dump of another server. Returns how many of the former: call it again while it is not 0. Does not commit.';
grant execute on function bookpost_private.prune_changes() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.prune_deliveries()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.prune_deliveries() is 'Removes messages that ended 30 days ago, dead ones after 90, and yesterday''s requests for codes. Returns how many messages, 50,000 at most. Does not commit.';
grant execute on function bookpost_private.prune_deliveries() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.put_in_parcel(book bookpost.books, parcel_id uuid, tracking_url text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.put_in_parcel(bookpost.books,uuid,text) is 'The book travels in this parcel from now on, and in no other. A second caller waits for the first, and moves it on.';
grant execute on function bookpost_private.put_in_parcel(bookpost.books,uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.put_off_delivery(delivery_id uuid, until timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update bookpost_private.deliveries d set state = 'queued', due_at = put_off_delivery.until where d.id = put_off_delivery.delivery_id;
  perform bookpost_private.add_delivery_jobs(array[delivery_id]);
end;
$function$;
grant execute on function bookpost_private.put_off_delivery(uuid,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.quarantine_failed_parcels()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_count integer;
begin
  with failed as (
    select substring(j.key from 8)::uuid as parcel_id, j.last_error
    from graphile_worker.jobs j
    where j.task_identifier = 'track_book' and j.attempts >= j.max_attempts and j.locked_at is null
      and j.key ~ '^parcel:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
  ),
  held as (
    -- skip locked: someone is at it; the next dispatch looks again.
    select c.parcel_id from bookpost_private.checks c
    where c.parcel_id in (select f.parcel_id from failed f) and c.next_check_at is not null
    order by c.parcel_id
    for no key update skip locked
  )
  update bookpost_private.checks c
  set next_check_at = null, pause_reason = 'quarantined', last_error = left(f.last_error, 500)
  from failed f join held h using (parcel_id)
  where c.parcel_id = f.parcel_id;
  get diagnostics v_count = row_count;
  return v_count;
end;
$function$;
grant execute on function bookpost_private.quarantine_failed_parcels() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.queue_deliveries(notification_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.queue_deliveries(uuid[]) is 'Queues the messages that carry these notifications, by every channel that is configured and wanted and to every endpoint in use. A stage or a call for action that was told within the channel''s damping waits until that is over. Does not commit.';
grant execute on function bookpost_private.queue_deliveries(uuid[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.queued_lookups()
 RETURNS TABLE(parcel_id uuid, job_id bigint, run_at timestamp with time zone, attempts integer, max_attempts integer, locked_at timestamp with time zone, locked_by text, last_error text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  return query
  select substring(j.key from 8)::uuid, j.id::bigint, j.run_at, j.attempts::integer, j.max_attempts::integer, j.locked_at, j.locked_by, j.last_error
  from graphile_worker.jobs j
  where j.task_identifier = 'track_book' and j.key ~ '^parcel:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
end;
$function$;
grant execute on function bookpost_private.queued_lookups() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.quiet_end(person bookpost.users, at timestamp with time zone)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT (((l.day + (quiet_end.person).quiet_until) +
         CASE
             WHEN (((quiet_end.person).quiet_from > (quiet_end.person).quiet_until) AND (l.hour >= (quiet_end.person).quiet_from)) THEN '1 day'::interval
             ELSE '00:00:00'::interval
         END) AT TIME ZONE (quiet_end.person).time_zone) AS timezone
    FROM ( SELECT ((quiet_end.at AT TIME ZONE (quiet_end.person).time_zone))::date AS day,
             ((quiet_end.at AT TIME ZONE (quiet_end.person).time_zone))::time without time zone AS hour) l
   WHERE
         CASE
             WHEN ((quiet_end.person).quiet_from < (quiet_end.person).quiet_until) THEN ((l.hour >= (quiet_end.person).quiet_from) AND (l.hour < (quiet_end.person).quiet_until))
             ELSE ((l.hour >= (quiet_end.person).quiet_from) OR (l.hour < (quiet_end.person).quiet_until))
         END;
END;
comment on function bookpost_private.quiet_end(bookpost.users,timestamp with time zone) is 'When the quiet hours end in which a moment lies, by the person''s own zone; null: it lies in none, or she has none.';
grant execute on function bookpost_private.quiet_end(bookpost.users,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.read_allowance(api_code text, at timestamp with time zone)
 RETURNS bookpost_private.call_allowance
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT ROW(a.code, w.windows, w.next_call_at, w.spacings, w.bursts, LEAST((w.slack * (0.8)::double precision),
         CASE
             WHEN (a.calls_per_day IS NOT NULL) THEN '00:00:03'::interval
             ELSE NULL::interval
         END),
         CASE
             WHEN ((c.state = 'closed'::text) AND (c.released_at > (read_allowance.at - a.release_duration))) THEN ( SELECT g.release_spacing
                FROM bookpost_private.gate(a.code) g(allowance, urgent_allowance, reason, until, spacing, release_spacing, flow_spacing, next_call_at, pace, batch_size, calls_in_flight))
             ELSE '00:00:00'::interval
         END, b.next_release_at, a.calls_per_day, d.day,
         CASE
             WHEN (b.day = d.day) THEN b.day_calls
             ELSE 0
         END, d.starts_at, d.ends_at, NULL::timestamp with time zone)::bookpost_private.call_allowance AS "row"
    FROM ((((bookpost.carrier_apis a
      JOIN bookpost_private.budgets b ON ((b.api_code = a.code)))
      JOIN bookpost.carrier_circuits c ON ((c.api_code = a.code)))
      CROSS JOIN LATERAL bookpost_private.day_of(read_allowance.at, a.day_time_zone) d(day, starts_at, ends_at))
      CROSS JOIN LATERAL ( SELECT COALESCE(array_agg(v.call_window ORDER BY v.call_window), '{}'::interval[]) AS windows,
             COALESCE(array_agg(v.next_call_at ORDER BY v.call_window), '{}'::timestamp with time zone[]) AS next_call_at,
             COALESCE(array_agg(bookpost_private.call_spacing(v.call_window, m.calls) ORDER BY v.call_window), '{}'::interval[]) AS spacings,
             COALESCE(array_agg(bookpost_private.call_burst(v.call_window) ORDER BY v.call_window), '{}'::interval[]) AS bursts,
             min(bookpost_private.call_slack(v.call_window)) AS slack
            FROM (bookpost_private.call_windows v
              JOIN bookpost.carrier_limits m ON (((m.api_code = v.api_code) AND (m.call_window = v.call_window))))
           WHERE (v.api_code = a.code)) w)
   WHERE (a.code = read_allowance.api_code);
END;
grant execute on function bookpost_private.read_allowance(text,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.record_lookups(reports jsonb, worker_id text)
 RETURNS TABLE(lookup_id uuid, parcel_id uuid, outcome text, status text, previous_status text)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '1s'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
#variable_conflict use_column
declare
  v_now timestamptz := clock_timestamp();
  v_ids uuid[];
  v_locked uuid[];
  v_leases bookpost_private.leases[];
  v_work bookpost_private.lookup_report[];
  v_stale integer;
  v_api record;
  v_previous jsonb;
  v_changed uuid[];
  v_called uuid[];
  v_moved uuid[];
begin
  -- In class 22, so that the sender finds the one that is wrong.
  if exists (
    select from jsonb_array_elements(reports) r
    where coalesce(r ->> 'outcome', '') <> 'found'
      and not exists (select from bookpost_private.lookup_outcomes o where o.outcome = r ->> 'outcome')
  ) then
    raise exception 'A report has no outcome, or one that lookup_outcomes does not list.' using errcode = '22023';
  end if;
  select coalesce(array_agg((r ->> 'lookup_id')::uuid), '{}') into v_ids from jsonb_array_elements(reports) r;

  -- 1. Checks, in one order everywhere. skip locked: an app's transaction may hold one for long, and must not hold up the
  -- lookups of all other parcels; that one keeps its lease, and its sender comes again.
  select coalesce(array_agg(c.parcel_id), '{}') into v_locked
  from (
    select k.parcel_id from bookpost_private.checks k
    where k.parcel_id in (select l.parcel_id from bookpost_private.leases l where l.lookup_id = any (v_ids))
    order by k.parcel_id
    for no key update skip locked
  ) c;
  for lookup_id, parcel_id, outcome in
    select l.lookup_id, l.parcel_id, 'busy'
    from bookpost_private.leases l
    where l.lookup_id = any (v_ids) and not (l.parcel_id = any (v_locked))
  loop
    v_ids := array_remove(v_ids, lookup_id);
    return next;
  end loop;

  -- 2. The fence: a lookup without its lease is stale and changes nothing. So is one whose last book has gone or got another
  -- number meanwhile, though its parcel is still to be closed: the next sweep does that, and frees the lease. Not here, where
  -- a probe that is given back would lock its circuit before the budgets.
  with gone as (
    delete from bookpost_private.leases l
    where l.lookup_id = any (v_ids) and l.parcel_id = any (v_locked)
      and exists (select from bookpost.parcel_books pb where pb.parcel_id = l.parcel_id and pb.stopped_at is null)
    returning l.*
  )
  select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;

  v_stale := coalesce(array_length(v_ids, 1), 0) - coalesce(array_length(v_leases, 1), 0);
  if v_stale > 0 then
    update bookpost_private.workers w set stale_results = w.stale_results + v_stale where w.id = record_lookups.worker_id;
    -- It was taken for dead, and has not beaten since.
    if not found then
      update bookpost_private.worker_deaths d set stale_results = d.stale_results + v_stale
      where d.worker_id = record_lookups.worker_id
        and d.found_at = (select max(m.found_at) from bookpost_private.worker_deaths m where m.worker_id = record_lookups.worker_id);
    end if;
  end if;
  if v_leases = '{}' then
    return;
  end if;

  select array_agg(
    jsonb_populate_record(
      -- The lease over the report: which parcel it is about is not the sender's to say.
      jsonb_populate_record(
        jsonb_populate_record(null::bookpost_private.lookup_report, r.report), to_jsonb(l) - 'calls' || jsonb_build_object('paid_calls', l.calls)
      ),
      jsonb_build_object('outcome', case
        when r.report ->> 'outcome' <> 'found' then r.report ->> 'outcome'
        when r.report ->> 'digest' = c.digest then 'unchanged'
        else 'updated'
      end)
    ) order by r.place
  ) into v_work
  from jsonb_array_elements(reports) with ordinality r (report, place)
  join unnest(v_leases) l on l.lookup_id = (r.report ->> 'lookup_id')::uuid
  join bookpost_private.checks c on c.parcel_id = l.parcel_id;

  select jsonb_object_agg(p.id, p.status) into v_previous
  from bookpost.parcels p join unnest(v_leases) l on l.parcel_id = p.id;

  -- 3. The scans. Told again, a scan keeps its row, and what it becomes does not depend on which telling came first: its
  -- place is the latest one, so where the fullest history puts it (see orderEvents in src/carriers), but an instant that is
  -- known goes before any wall clock; what one telling left out is filled in from another; a code that we have learnt since
  -- gets its stage.
  insert into bookpost.tracking_events as e
    (parcel_id, identity, occurred_at, local_time, time_zone, is_date_only, raw_time, status, raw_code, is_code_listed,
     description, location, country_code, reason_code, is_action_required, sort_at, sort_rank)
  select distinct on (w.parcel_id, n.identity)
    w.parcel_id, n.identity, n.occurred_at, n.local_time, n.time_zone, n.is_date_only, n.raw_time, n.status, n.raw_code,
    n.is_code_listed, n.description, n.location, n.country_code, n.reason_code, n.is_action_required, n.sort_at, n.sort_rank
  from unnest(v_work) w
  cross join lateral jsonb_to_recordset(w.events) n (
    identity text, occurred_at timestamptz, local_time timestamp, time_zone text, is_date_only boolean, raw_time text,
    status text, raw_code text, is_code_listed boolean, description text, location text, country_code text,
    reason_code text, is_action_required boolean, sort_at timestamptz, sort_rank smallint
  )
  where w.outcome = 'updated'
  order by w.parcel_id, n.identity, n.occurred_at is not null desc, n.sort_at desc, n.sort_rank desc
  on conflict (parcel_id, identity) do update
    set (occurred_at, local_time, time_zone, is_date_only, raw_time, sort_at, sort_rank) = (
        select t.*
        from (values
          (e.occurred_at, e.local_time, e.time_zone, e.is_date_only, e.raw_time, e.sort_at, e.sort_rank),
          (excluded.occurred_at, excluded.local_time, excluded.time_zone, excluded.is_date_only, excluded.raw_time,
            excluded.sort_at, excluded.sort_rank)
        ) t (occurred_at, local_time, time_zone, is_date_only, raw_time, sort_at, sort_rank)
        -- The last three: so that two tellings of one instant end alike, whichever came first.
        order by t.occurred_at is not null desc, t.sort_at desc, t.sort_rank desc,
          t.local_time desc nulls last, t.time_zone desc nulls last, t.raw_time desc
        limit 1
      ),
      status = case when e.is_code_listed then e.status else excluded.status end,
      is_code_listed = e.is_code_listed or excluded.is_code_listed,
      description = coalesce(e.description, excluded.description),
      location = coalesce(e.location, excluded.location),
      country_code = coalesce(e.country_code, excluded.country_code),
      reason_code = coalesce(e.reason_code, excluded.reason_code),
      is_action_required = e.is_action_required or excluded.is_action_required
    where (
        excluded.occurred_at is not null, excluded.sort_at, excluded.sort_rank,
        coalesce(excluded.local_time, '-infinity'), coalesce(excluded.time_zone, ''), excluded.raw_time
      ) > (
        e.occurred_at is not null, e.sort_at, e.sort_rank,
        coalesce(e.local_time, '-infinity'), coalesce(e.time_zone, ''), e.raw_time
      )
      or (excluded.is_code_listed and not e.is_code_listed)
      or (excluded.is_action_required and not e.is_action_required)
      or (e.description is null and excluded.description is not null)
      or (e.location is null and excluded.location is not null)
      or (e.country_code is null and excluded.country_code is not null)
      or (e.reason_code is null and excluded.reason_code is not null);

  -- 4. The status, and who is told of it.
  with target as (
    select w.*, p.status as old_status, p.is_action_required as was_action_required, p.told_estimated_until as told_estimate,
      p.is_return or coalesce(w.is_return, false) as returns, f.status as new_status,
      f.reason_code, f.is_action_required, f.delivered_at, f.delivered_local_time, f.delivered_time_zone
    from unnest(v_work) w
    join bookpost.parcels p on p.id = w.parcel_id
    cross join lateral bookpost_private.fold_status(w.parcel_id, p.is_return or coalesce(w.is_return, false), w.status, p.status) f
    -- What is told of an earlier parcel with this number says nothing of this one, who signed and where it was due included.
    where w.outcome = 'updated' and not f.is_set_aside
  ),
  changed as (
    update bookpost.parcels p set
      status = t.new_status,
      status_version = p.status_version + (p.status <> t.new_status)::integer,
      status_changed_at = case when p.status <> t.new_status then v_now else p.status_changed_at end,
      notice_version = p.notice_version
        + ((t.is_action_required and not p.is_action_required) or bookpost_private.has_estimate_moved(p.told_estimated_until, t.estimated_until))::integer,
      raw_status = t.raw_status,
      raw_text = t.raw_text,
      reason_code = t.reason_code,
      is_action_required = t.is_action_required,
      is_return = t.returns,
      first_estimated_from = coalesce(p.first_estimated_from, t.estimated_from),
      first_estimated_until = coalesce(p.first_estimated_until, t.estimated_until),
      estimated_from = coalesce(t.estimated_from, p.estimated_from),
      estimated_until = coalesce(t.estimated_until, p.estimated_until),
      estimated_time_zone = case when t.estimated_from is null then p.estimated_time_zone else t.estimated_time_zone end,
      is_estimate_a_date = case when t.estimated_from is null then p.is_estimate_a_date else t.is_estimate_a_date end,
      -- A new stage is told with the estimate.
      told_estimated_until = case
        when p.told_estimated_until is null or p.status <> t.new_status
          or bookpost_private.has_estimate_moved(p.told_estimated_until, t.estimated_until)
          then coalesce(t.estimated_until, p.told_estimated_until)
        else p.told_estimated_until
      end,
      delivered_at = t.delivered_at,
      delivered_local_time = t.delivered_local_time,
      delivered_time_zone = t.delivered_time_zone,
      signed_by = coalesce(t.signed_by, p.signed_by),
      tracking_url = coalesce(t.tracking_url, p.tracking_url)
    from target t
    where p.id = t.parcel_id
    returning p.id, p.status <> t.old_status as is_new, p.is_action_required and not t.was_action_required as is_called,
      bookpost_private.has_estimate_moved(t.told_estimate, t.estimated_until) as is_moved
  )
  select array_agg(c.id) filter (where c.is_new), array_agg(c.id) filter (where c.is_called), array_agg(c.id) filter (where c.is_moved)
  into v_changed, v_called, v_moved
  from changed c;
  perform bookpost_private.notify_owners(
    v_changed, v_called, v_moved,
    array(select w.parcel_id from unnest(v_work) w where w.outcome in ('updated', 'unchanged'))
  );

  update bookpost.parcel_books b set first_synced_at = v_now
  from unnest(v_work) w
  where b.parcel_id = w.parcel_id and b.first_synced_at is null and w.outcome in ('updated', 'unchanged');

  -- One that had been set aside lives: the next of those is tried.
  if exists (
    select from unnest(v_work) w join bookpost_private.checks c on c.parcel_id = w.parcel_id
    where c.crash_count > bookpost_private.crashes_tolerated()
  ) then
    perform bookpost_private.wake_dispatch();
  end if;

  -- 5. When to look again.
  update bookpost_private.checks c set
    last_looked_at = v_now,
    last_outcome = n.outcome,
    last_error = n.error,
    last_answered_at = case when n.effect = 'success' then v_now else c.last_answered_at end,
    last_changed_at = n.last_changed_at,
    digest = case when n.outcome = 'updated' then n.digest else c.digest end,
    unchanged_count = n.unchanged_count,
    failure_count = n.failure_count,
    crash_count = 0,
    utc_offset = n.utc_offset,
    day = n.day,
    day_calls = n.day_calls,
    -- Who has asked for a look keeps her head start until there was one.
    head_start = case when n.effect = 'success' then bookpost_private.head_start(
      n.status, v_now, n.estimated_from, n.estimated_until, n.utc_offset, n.declared_value
    ) else c.head_start end,
    next_check_at = greatest(
      case
        when n.is_api_wide then v_now
        -- Our own side knows when: the next request can be paid for then.
        when n.outcome = 'local' and n.retry_after is not null then v_now + n.retry_after
        else bookpost_private.next_check_at(
          n.api_code, n.outcome, n.status, v_now, n.last_changed_at, n.unchanged_count, n.failure_count,
          n.estimated_from, n.estimated_until, n.utc_offset
        )
      end,
      -- Whom the carrier was not asked about need not wait for that: a token was all that went out.
      case when n.is_asked and n.is_api_wide is not true then v_now + n.min_check_interval end,
      case when n.effect = 'failure' then v_now + n.retry_after end,
      case when n.calls_per_parcel_per_day is not null then bookpost_private.parcel_may_be_asked_at(n.api_code, n.day, n.day_calls) end
    ),
    -- An end that could be recorded proves that it moves again.
    pause_reason = null
  from (
    select w.parcel_id, w.api_code, w.outcome, w.digest, w.is_api_wide, bookpost_private.retry_after(w.retry_after_ms) as retry_after,
      p.status, p.estimated_from, p.estimated_until, o.circuit_effect as effect, a.min_check_interval, a.calls_per_parcel_per_day,
      left(w.error_code || coalesce(': ' || w.error_message, ''), 500) as error,
      case when w.outcome = 'updated' then v_now else k.last_changed_at end as last_changed_at,
      case when w.outcome = 'updated' then 0 when o.circuit_effect = 'success' then k.unchanged_count + 1 else k.unchanged_count end as unchanged_count,
      case
        when o.circuit_effect = 'success' then 0
        when o.retry_after is null or (w.outcome = 'local' and w.retry_after_ms is not null) then k.failure_count
        else k.failure_count + 1
      end as failure_count,
      coalesce(z.utc_offset, k.utc_offset) as utc_offset,
      coalesce(q.day, k.day) as day,
      case when q.day <> k.day then 0 else k.day_calls end + q.calls as day_calls,
      q.is_asked,
      v.declared_value
    from unnest(v_work) w
    join bookpost_private.lookup_outcomes o on o.outcome = w.outcome
    join bookpost.carrier_apis a on a.code = w.api_code
    join bookpost.parcels p on p.id = w.parcel_id
    join bookpost_private.checks k on k.parcel_id = w.parcel_id
    -- Only a new answer can move it.
    left join lateral (
      select e.local_time - (e.occurred_at at time zone 'UTC') as utc_offset
      from bookpost.tracking_events e
      where w.outcome = 'updated' and e.parcel_id = w.parcel_id
        and e.occurred_at is not null and e.local_time is not null and not e.is_date_only
      order by e.sort_at desc, e.sort_rank desc, e.identity desc
      limit 1
    ) z on true
    -- Where each parcel's calls are limited. A batch's request is told with one of its lookups and asked about all.
    cross join lateral (
      select case when a.calls_per_parcel_per_day is not null then (v_now at time zone a.day_time_zone)::date end as day,
        case when a.calls_per_parcel_per_day is not null and i.is_asked then greatest(1, i.lookups) else 0 end as calls,
        i.is_asked
      from (
        select j.lookups, case when w.calls = '[]' then w.outcome <> 'local' else j.lookups > 0 end as is_asked
        from (
          select count(*)::integer as lookups from jsonb_array_elements(w.calls) e where e ->> 'kind' = 'lookup'
        ) j
      ) i
    ) q
    left join lateral (
      select sum(bookpost_private.comparable_value(b.declared_value, b.declared_currency)) as declared_value
      from bookpost.parcel_books pb join bookpost.books b on b.id = pb.book_id
      where pb.parcel_id = w.parcel_id and pb.stopped_at is null
    ) v on true
  ) n
  where c.parcel_id = n.parcel_id;

  -- Whatever the outcome: a carrier may have forgotten a parcel that was delivered long ago.
  perform bookpost_private.close_finished_parcels(array(select w.parcel_id from unnest(v_work) w));

  -- 6. Budgets, only where there is something to write: calls that were paid for and not made, or the other way round; waiting; parking.
  for v_api in
    select w.api_code, a.day_time_zone,
      -- What was paid for yesterday is not today's.
      coalesce(sum(jsonb_array_length(w.calls) - w.paid_calls) filter (
        where (w.call_at at time zone a.day_time_zone)::date = (v_now at time zone a.day_time_zone)::date
      ), 0) as extra_calls,
      max(case
        when w.outcome = 'rate_limited' then
          -- 1 minute where the carrier named no time (chosen).
          v_now + coalesce(bookpost_private.retry_after(w.retry_after_ms), interval '1 minute')
        when w.outcome = 'out_of_quota' then coalesce(
          v_now + bookpost_private.retry_after(w.retry_after_ms),
          (((v_now at time zone a.day_time_zone)::date + 1)::timestamp) at time zone a.day_time_zone + bookpost_private.day_margin()
        )
      end) as not_before,
      max(w.outcome) filter (where w.outcome in ('rate_limited', 'out_of_quota')) as wait_reason,
      max(coalesce(w.error_code, 'REJECTED')) filter (where w.outcome = 'rejected' and w.is_api_wide) as parked_reason
    from unnest(v_work) w
    join bookpost.carrier_apis a on a.code = w.api_code
    group by w.api_code, a.day_time_zone
    order by w.api_code
  loop
    continue when v_api.extra_calls = 0 and v_api.not_before is null and v_api.parked_reason is null;
    update bookpost_private.budgets b set
      day_calls = case
        when b.day = (v_now at time zone v_api.day_time_zone)::date then greatest(0, b.day_calls + v_api.extra_calls)
        else b.day_calls
      end,
      not_before = case when v_api.not_before > coalesce(b.not_before, '-infinity') then v_api.not_before else b.not_before end,
      not_before_reason = case when v_api.not_before > coalesce(b.not_before, '-infinity') then v_api.wait_reason else b.not_before_reason end,
      parked_at = case when v_api.parked_reason is not null then v_now else b.parked_at end,
      parked_reason = coalesce(v_api.parked_reason, b.parked_reason),
      parked_fingerprint = case
        when v_api.parked_reason is not null then
          (select w.api_fingerprints ->> b.api_code from bookpost_private.workers w where w.id = record_lookups.worker_id)
        else b.parked_fingerprint
      end
    where b.api_code = v_api.api_code;
  end loop;

  -- 7. The ledger and the evidence.
  insert into bookpost_private.lookups
    (id, parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, finished_at, outcome, error_code, error_message, calls)
  select w.lookup_id, w.parcel_id, w.batch_id, w.api_code, w.generation, w.is_probe, w.worker_id, w.started_at, v_now,
    w.outcome, w.error_code, left(w.error_message, 500), jsonb_array_length(w.calls)
  from unnest(v_work) w;

  insert into bookpost_private.carrier_calls (lookup_id, api_code, kind, http_status, called_at, duration)
  select w.lookup_id, w.api_code, n.kind, n.http_status,
    v_now - make_interval(secs => n.age_ms / 1000.0), make_interval(secs => n.duration_ms / 1000.0)
  from unnest(v_work) w
  cross join lateral jsonb_to_recordset(w.calls) n (kind text, http_status integer, age_ms double precision, duration_ms double precision);

  insert into bookpost_private.carrier_answers (lookup_id, parcel_id, api_code, received_at, digest, body)
  select w.lookup_id, w.parcel_id, w.api_code, v_now, w.digest, w.body
  from unnest(v_work) w
  where w.body is not null and w.outcome in ('updated', 'malformed', 'rejected');

  -- 8. Circuits: after the ledger, which knows the parcels and the requests of failures.
  for v_api in
    select w.api_code, array_agg(w.lookup_id order by w.place) as ids, array_agg(w.generation order by w.place) as generations,
      array_agg(o.circuit_effect order by w.place) as effects,
      array_agg(coalesce(w.error_code, w.outcome) order by w.place) as reasons
    from unnest(v_work) with ordinality w (
      lookup_id, outcome, error_code, error_message, retry_after_ms, is_api_wide, calls, body, digest, status, raw_status, raw_text,
      is_return, estimated_from, estimated_until, estimated_time_zone, is_estimate_a_date, signed_by, tracking_url, events,
      parcel_id, batch_id, api_code, generation, is_probe, worker_id, started_at, call_at, paid_calls, place
    )
    join bookpost_private.lookup_outcomes o on o.outcome = w.outcome
    group by w.api_code
    order by w.api_code
  loop
    perform bookpost_private.report_to_circuit(v_api.api_code, v_api.ids, v_api.generations, v_api.effects, v_api.reasons);
  end loop;

  return query
  select w.lookup_id, w.parcel_id, w.outcome, p.status, v_previous ->> (w.parcel_id::text)
  from unnest(v_work) w
  join bookpost.parcels p on p.id = w.parcel_id;
end;
$function$;
comment on function bookpost_private.record_lookups(jsonb,text) is 'Writes everything learnt by some lookups: scans, status, notifications, next look, budget, circuit, ledger. reports: a JSON array of lookup_report, in the order in which they finished. One row back for each that counted; a missing one was stale and changed nothing; one with outcome busy was not written because its parcel is in another transaction''s hands: send it again. One bad row fails the whole batch (SQLSTATE class 22 or 23): send its halves. Does not commit.';
grant execute on function bookpost_private.record_lookups(jsonb,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.refold_parcel(parcel_id uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_is_new boolean;
  v_is_called boolean;
begin
  update bookpost.parcels p set
    status = f.status,
    status_version = p.status_version + (p.status <> f.status)::integer,
    status_changed_at = case when p.status <> f.status then clock_timestamp() else p.status_changed_at end,
    notice_version = p.notice_version + (f.is_action_required and not p.is_action_required)::integer,
    reason_code = f.reason_code,
    is_action_required = f.is_action_required,
    delivered_at = f.delivered_at,
    delivered_local_time = f.delivered_local_time,
    delivered_time_zone = f.delivered_time_zone
  from bookpost.parcels o
  cross join lateral bookpost_private.fold_status(o.id, o.is_return, null, o.status) f
  where p.id = refold_parcel.parcel_id and o.id = p.id
  returning p.status <> o.status, p.is_action_required and not o.is_action_required into v_is_new, v_is_called;
  if v_is_new or v_is_called then
    perform bookpost_private.notify_owners(
      case when v_is_new then array[refold_parcel.parcel_id] end,
      case when v_is_called then array[refold_parcel.parcel_id] end
    );
  end if;
  perform bookpost_private.close_finished_parcels(array[refold_parcel.parcel_id]);
end;
$function$;
comment on function bookpost_private.refold_parcel(uuid) is 'Sets a parcel''s status by its scans, tells its owners of a change, and closes it where it has run its course. Does not commit.';
grant execute on function bookpost_private.refold_parcel(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.release_lookups(lookup_ids uuid[], reason text)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_leases bookpost_private.leases[];
  v_lease record;
begin
  perform 1
  from bookpost_private.checks c
  where c.parcel_id in (select l.parcel_id from bookpost_private.leases l where l.lookup_id = any (lookup_ids))
  order by c.parcel_id
  for no key update;

  with gone as (
    delete from bookpost_private.leases l where l.lookup_id = any (lookup_ids) returning l.*
  )
  select coalesce(array_agg(gone::bookpost_private.leases), '{}') into v_leases from gone;

  for v_lease in
    -- Not where requests are shared: another lookup of the batch may have sent it.
    select l.api_code, (l.call_at at time zone a.day_time_zone)::date as day, sum(l.calls) as released
    from unnest(v_leases) l join bookpost.carrier_apis a on a.code = l.api_code and a.batch_size = 1
    group by 1, 2 order by 1, 2
  loop
    update bookpost_private.budgets b set day_calls = greatest(0, b.day_calls - v_lease.released)
    where b.api_code = v_lease.api_code and b.day = v_lease.day;
  end loop;
  -- All budgets before any circuit.
  for v_lease in select l.* from unnest(v_leases) l where l.is_probe order by l.api_code loop
    perform bookpost_private.release_probe(v_lease.api_code, v_lease.lookup_id, 'the probe was not sent: ' || release_lookups.reason);
  end loop;
  return coalesce(array_length(v_leases, 1), 0);
end;
$function$;
comment on function bookpost_private.release_lookups(uuid[],text) is 'Gives back permits under which no request went out. Returns how many were still held. Does not commit.';
grant execute on function bookpost_private.release_lookups(uuid[],text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.release_probe(api_code text, lookup_id uuid, reason text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform 1 from bookpost.carrier_circuits c
  where c.api_code = release_probe.api_code and c.state = 'half_open' and c.probe_lookup_id = release_probe.lookup_id
  -- skip locked: someone is moving this circuit now. If it stays half open, sweep finds the probe lost when its time is up.
  for no key update skip locked;
  if found then
    perform bookpost_private.move_circuit(
      release_probe.api_code, 'open', release_probe.reason, array[release_probe.lookup_id], open_for => interval '0'
    );
  end if;
end;
$function$;
grant execute on function bookpost_private.release_probe(text,uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.released_share(since interval, release_duration interval, ahead interval)
 RETURNS double precision
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN (since >= release_duration) THEN (1)::numeric ELSE ((power(LEAST(EXTRACT(epoch FROM (since + ahead)), EXTRACT(epoch FROM release_duration)), (2)::numeric) - power(EXTRACT(epoch FROM since), (2)::numeric)) / (power(EXTRACT(epoch FROM release_duration), (2)::numeric) - power(EXTRACT(epoch FROM since), (2)::numeric))) END;
comment on function bookpost_private.released_share(interval,interval,interval) is 'Of the parcels due now, which part may go out in the stretch of time ahead, so that all have gone by the end of release_duration, slowly at first.';
grant execute on function bookpost_private.released_share(interval,interval,interval) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.repair_deliveries()
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.repair_deliveries() is 'Gives messages that wait without a job in the queue a new one, and ends those whose job failed for good. Called by every dispatch. Returns how many got a job. Does not commit.';
grant execute on function bookpost_private.repair_deliveries() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.repair_timetable()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_now timestamptz := clock_timestamp();
  v_late bigint[];
begin
  update graphile_worker._private_known_crontabs k set last_execution = date_trunc('minute', v_now)
  where k.identifier in ('dispatch', 'maintain') and k.last_execution > v_now + interval '1 minute';
  select array_agg(j.id) into v_late
  from graphile_worker.jobs j
  where j.key in ('dispatch', 'maintain') and j.run_at > v_now + interval '1 minute' and j.locked_at is null;
  if v_late is not null then
    perform graphile_worker.reschedule_jobs(v_late, run_at => v_now);
  end if;
end;
$function$;
comment on function bookpost_private.repair_timetable() is 'Brings crontab entries and their jobs that a fast clock has put into the future back to the present. Does not commit.';
grant execute on function bookpost_private.repair_timetable() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.report_to_circuit(api_code text, lookup_ids uuid[], generations integer[], effects text[], reasons text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_circuit bookpost.carrier_circuits;
  v_api bookpost.carrier_apis;
  v_parcels uuid[];
  v_batches uuid[];
  v_failed uuid[];
  v_failed_parcels uuid[];
  v_failed_batches uuid[];
  v_count integer;
begin
  -- On the happy path the row is read and not locked: success on a closed circuit without failures changes nothing.
  select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = report_to_circuit.api_code;
  if v_circuit.state = 'closed' and v_circuit.consecutive_failures = 0 and not ('failure' = any(effects)) then
    return;
  end if;

  select * into strict v_api from bookpost.carrier_apis a where a.code = report_to_circuit.api_code;
  -- A second reporter waits here for the first one's commit, so no count is lost.
  select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = report_to_circuit.api_code for no key update;
  v_count := v_circuit.consecutive_failures;
  v_failed := v_circuit.failed_lookup_ids;
  -- Which parcel each was about and which request it shared, the ledger knows.
  select array_agg(k.parcel_id order by i.place), array_agg(k.batch_id order by i.place) into v_parcels, v_batches
  from unnest(report_to_circuit.lookup_ids) with ordinality i (id, place)
  left join bookpost_private.lookups k on k.id = i.id;
  select coalesce(array_agg(k.parcel_id order by i.place), '{}'), coalesce(array_agg(k.batch_id order by i.place), '{}')
  into v_failed_parcels, v_failed_batches
  from unnest(v_failed) with ordinality i (id, place)
  left join bookpost_private.lookups k on k.id = i.id;

  for i in 1 .. coalesce(array_length(lookup_ids, 1), 0) loop
    -- A report from before the last move says nothing of the present.
    continue when generations[i] <> v_circuit.generation or v_circuit.is_forced;

    if v_circuit.state = 'half_open' then
      if lookup_ids[i] = v_circuit.probe_lookup_id then
        case effects[i]
          when 'success' then
            perform bookpost_private.move_circuit(api_code, 'closed', 'the probe was answered', array[lookup_ids[i]]);
            v_count := 0;
            v_failed := '{}';
            v_failed_parcels := '{}';
            v_failed_batches := '{}';
          when 'failure' then
            perform bookpost_private.move_circuit(
              api_code, 'open', 'the probe failed: ' || reasons[i], array[lookup_ids[i]],
              open_for => least(v_circuit.cooldown * 2, v_api.max_cooldown),
              cooldown => least(v_circuit.cooldown * 2, v_api.max_cooldown)
            );
            -- The parcel that failed last: the next probe had better be another.
            update bookpost.carrier_circuits c set
              consecutive_failures = v_count + 1,
              failed_lookup_ids = (v_failed || lookup_ids[i])[greatest(1, cardinality(v_failed) - 18):]
            where c.api_code = report_to_circuit.api_code;
            v_count := v_count + 1;
          else
            perform bookpost_private.release_probe(api_code, lookup_ids[i], 'the probe told nothing: ' || reasons[i]);
        end case;
        select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = report_to_circuit.api_code;
      end if;
    elsif v_circuit.state = 'closed' then
      if effects[i] = 'success' then
        v_count := 0;
        v_failed := '{}';
        v_failed_parcels := '{}';
        v_failed_batches := '{}';
      elsif effects[i] = 'failure' then
        -- A request that asked about many parcels is one failure, however many of them it failed. Two of its lookups
        -- are kept: enough to tell that more than one parcel was hit.
        if not coalesce(v_batches[i] = any (v_failed_batches), false) then
          v_count := v_count + 1;
        end if;
        if cardinality(array_positions(v_failed_batches, v_batches[i])) < 2 then
          v_failed := (v_failed || lookup_ids[i])[greatest(1, cardinality(v_failed) - 18):];
          v_failed_parcels := (v_failed_parcels || v_parcels[i])[greatest(1, cardinality(v_failed_parcels) - 18):];
          v_failed_batches := (v_failed_batches || v_batches[i])[greatest(1, cardinality(v_failed_batches) - 18):];
        end if;
        if v_count >= v_api.failure_threshold
          and (
            -- One parcel that the carrier cannot bear must not shut it for all others: a second one has to fail too,
            -- unless there is no second one, or one failure is said to be enough.
            (select count(distinct f.parcel_id) from unnest(v_failed_parcels) f (parcel_id)) >= least(2, v_api.failure_threshold)
            or (
              select count(*) from (
                select from bookpost_private.checks k where k.api_code = report_to_circuit.api_code and k.next_check_at is not null limit 2
              ) live
            ) < 2
          )
        then
          update bookpost.carrier_circuits c set consecutive_failures = v_count, failed_lookup_ids = v_failed
          where c.api_code = report_to_circuit.api_code;
          perform bookpost_private.move_circuit(
            api_code, 'open', format('%s failures in a row, the last: %s', v_count, reasons[i]), v_failed,
            open_for => v_api.cooldown, cooldown => v_api.cooldown
          );
          select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = report_to_circuit.api_code;
        end if;
      end if;
    end if;
  end loop;

  if v_circuit.state = 'closed'
    and (v_circuit.consecutive_failures, v_circuit.failed_lookup_ids) is distinct from (v_count, v_failed)
  then
    update bookpost.carrier_circuits c set consecutive_failures = v_count, failed_lookup_ids = v_failed
    where c.api_code = report_to_circuit.api_code;
  end if;
end;
$function$;
comment on function bookpost_private.report_to_circuit(text,uuid[],integer[],text[],text[]) is 'Counts successes and failures (effects: success, failure, none) in finishing order and opens or closes the circuit: open after failure_threshold failed requests in a row that hit at least two parcels (one, where no other is live). Reports of an older generation are ignored. The lookups must be in the ledger. Does not commit.';
grant execute on function bookpost_private.report_to_circuit(text,uuid[],integer[],text[],text[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.require_keys(changes jsonb, known text[])
 RETURNS void
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if changes is null or jsonb_typeof(changes) <> 'object' then
    raise exception 'Say what is to change, as a JSON object.' using errcode = 'BP400', hint = 'Known: ' || array_to_string(known, ', ');
  end if;
  if exists (select from jsonb_object_keys(changes) k where k <> all (known)) then
    raise exception 'Something else cannot be changed here.' using errcode = 'BP400', hint = 'Known: ' || array_to_string(known, ', ');
  end if;
end;
$function$;
grant execute on function bookpost_private.require_keys(jsonb,text[]) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.retry_after(milliseconds double precision)
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE STRICT
RETURN make_interval(secs => (GREATEST((1000)::double precision, LEAST(milliseconds, (86400000)::double precision)) / (1000.0)::double precision));
grant execute on function bookpost_private.retry_after(double precision) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.retry_delivery(delivery_id uuid)
 RETURNS bookpost_private.deliveries
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.retry_delivery(uuid) is 'Queues a dead message once more, as if it were new. Raises BP404 for an unknown one, BP409 for one that is not dead or whose endpoint is disabled. Does not commit.';
grant execute on function bookpost_private.retry_delivery(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.route_of(delivery bookpost_private.deliveries)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE (delivery).channel WHEN 'webhook'::text THEN ('webhook:'::text || (delivery).endpoint_id) ELSE (delivery).channel END;
grant execute on function bookpost_private.route_of(bookpost_private.deliveries) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.say_sent_on(parcel_id uuid, sent_on date, owner uuid)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
comment on function bookpost_private.say_sent_on(uuid,date,uuid) is 'The day on which a parcel was posted, for all who wait for it; said anew, the newest word counts. What one owner says of a parcel that others wait for too counts for nothing, and nobody is told so.';
grant execute on function bookpost_private.say_sent_on(uuid,date,uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.send_test(person uuid)
 RETURNS SETOF uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_ids uuid[];
begin
  if not exists (select from bookpost.users u where u.id = send_test.person) then
    raise exception 'There is no user %.', send_test.person using errcode = 'BP404';
  end if;
  with queued as (
    insert into bookpost_private.deliveries (user_id, channel, endpoint_id, kind)
    select send_test.person, c.channel, e.id, 'test'
    from bookpost_private.channels c
    left join bookpost.webhook_endpoints e
      on c.channel = 'webhook' and (e.user_id = send_test.person or e.user_id is null) and e.disabled_at is null
    where c.is_configured and (c.channel <> 'webhook' or e.id is not null)
    returning id
  )
  select array_agg(q.id) into v_ids from queued q;
  if v_ids is not null then
    perform bookpost_private.add_delivery_jobs(v_ids);
  end if;
  return query select unnest(v_ids);
end;
$function$;
comment on function bookpost_private.send_test(uuid) is 'Queues a test message to a person by every channel that is configured and to her endpoints; those she is not reached by end as dropped, with the reason. Returns their ids. Raises BP404. Does not commit.';
grant execute on function bookpost_private.send_test(uuid) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.soonest_look(parcel_check bookpost_private.checks)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT GREATEST(clock_timestamp(), ((soonest_look.parcel_check).last_looked_at + a.min_check_interval), bookpost_private.parcel_may_be_asked_at(a.code, (soonest_look.parcel_check).day, (soonest_look.parcel_check).day_calls)) AS "greatest"
    FROM bookpost.carrier_apis a
   WHERE (a.code = (soonest_look.parcel_check).api_code);
END;
comment on function bookpost_private.soonest_look(bookpost_private.checks) is 'When a parcel may be looked up at the soonest: not before its API''s least distance from the last look, nor with its calls of the day spent. Null where it has no API.';
grant execute on function bookpost_private.soonest_look(bookpost_private.checks) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.spend_call(allowance bookpost_private.call_allowance, call_at timestamp with time zone)
 RETURNS bookpost_private.call_allowance
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  for i in 1 .. cardinality(allowance.windows) loop
    allowance.next_call_at[i] := greatest(allowance.next_call_at[i], call_at) + allowance.spacings[i];
  end loop;
  if allowance.release_spacing > '0' then
    allowance.next_release_at := call_at + allowance.release_spacing;
  end if;
  allowance.day_calls := allowance.day_calls + 1;
  return allowance;
end;
$function$;
grant execute on function bookpost_private.spend_call(bookpost_private.call_allowance,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.stale_after()
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN '72:00:00'::interval;
grant execute on function bookpost_private.stale_after() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.sweep(is_thorough boolean DEFAULT false)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_now timestamptz := clock_timestamp();
  v_deaths bookpost_private.workers[] := '{}';
  v_dead text[];
  v_crashed uuid[];
  v_lost uuid[];
  v_count integer := 0;
  v_probe record;
begin
  -- Whose last beat lies in the future: the clock was set back since. It counts from now.
  update bookpost_private.workers w set beat_at = v_now
  where w.id in (select f.id from bookpost_private.workers f where f.beat_at > v_now + interval '1 second' for update skip locked);

  if exists (
    select from bookpost_private.workers w
    where w.beating_since <= v_now - bookpost_private.witness_after() and w.beat_at > v_now - bookpost_private.dead_after()
  ) then
    -- skip locked: another sweeper has that one, or it beats this moment.
    with dead as (
      delete from bookpost_private.workers w
      where w.id in (
        select d.id from bookpost_private.workers d
        where d.beat_at < v_now - bookpost_private.dead_after()
        for update skip locked
      )
      returning w.*
    )
    select coalesce(array_agg(dead::bookpost_private.workers), '{}') into v_deaths from dead;
  end if;
  select coalesce(array_agg(d.id), '{}') into v_dead from unnest(v_deaths) d;

  select
    -- Those whose request could have gone out by the time of death, a beat after the last at most.
    coalesce(array_agg(l.lookup_id) filter (where d.id is not null and l.call_at <= d.beat_at + interval '1 second'), '{}'),
    coalesce(array_agg(l.lookup_id) filter (where not coalesce(l.call_at <= d.beat_at + interval '1 second', false)), '{}')
  into v_crashed, v_lost
  from bookpost_private.leases l
  left join unnest(v_deaths) d on d.id = l.worker_id
  where l.lease_until < v_now
    or d.id is not null
    -- Of whose death an earlier sweep knew, when this parcel was in someone's hands.
    or (
      l.started_at < v_now - bookpost_private.dead_after()
      and not exists (select from bookpost_private.workers w where w.id = l.worker_id)
    );
  perform bookpost_private.close_forsaken_parcels();
  if v_crashed <> '{}' then
    v_count := bookpost_private.interrupt_lookups(v_crashed, 'its worker died', true);
  end if;
  if v_lost <> '{}' then
    v_count := v_count + bookpost_private.interrupt_lookups(v_lost, 'its worker died or its time ran out');
  end if;
  insert into bookpost_private.worker_deaths (worker_id, host_name, process_id, started_at, beat_at, stale_results, interrupted_lookups)
  select d.id, d.host_name, d.process_id, d.started_at, d.beat_at, d.stale_results,
    (select count(*) from bookpost_private.lookups k where k.id = any (v_crashed || v_lost) and k.worker_id = d.id and k.finished_at >= v_now)
  from unnest(v_deaths) d;

  -- A probe without a lease reports to nobody any more. skip locked: someone is moving that circuit now.
  for v_probe in
    select c.api_code, c.probe_lookup_id
    from bookpost.carrier_circuits c
    where c.state = 'half_open' and c.probe_until < v_now
      and not exists (select from bookpost_private.leases l where l.lookup_id = c.probe_lookup_id)
    order by c.api_code
    for no key update of c skip locked
  loop
    perform bookpost_private.release_probe(v_probe.api_code, v_probe.probe_lookup_id, 'the probe was lost');
  end loop;

  perform bookpost_private.end_expired_holds();

  if v_dead <> '{}' then
    perform bookpost_private.free_jobs(v_dead, v_now);
  end if;
  -- Also the jobs of one who died before its first beat. It reads the whole queue, so not at every heartbeat.
  if is_thorough then
    delete from bookpost_private.worker_deaths d where d.found_at < v_now - interval '30 days';
    select coalesce(array_agg(distinct j.locked_by), '{}') into v_dead
    from graphile_worker.jobs j
    where j.task_identifier in ('dispatch', 'track_book', 'maintain', 'send_email', 'send_sms', 'send_webhook')
      and j.locked_at < v_now - bookpost_private.dead_after()
      and not exists (select from bookpost_private.workers w where w.id = j.locked_by);
    if v_dead <> '{}' then
      perform bookpost_private.free_jobs(v_dead, v_now - bookpost_private.dead_after());
    end if;
  end if;

  perform bookpost_private.repair_timetable();
  if v_count > 0 then
    perform bookpost_private.wake_dispatch();
  -- The crontab's minute has passed without a dispatch, or the clock was set back. One job, however many sweepers; none
  -- where dispatch itself is the caller.
  elsif not is_thorough and not exists (
      select from bookpost_private.dispatch_clock d
      where d.dispatched_at between v_now - interval '65 seconds' and v_now + interval '5 seconds'
    )
    and not exists (select from graphile_worker.jobs j where j.key = 'dispatch:late' and j.attempts < j.max_attempts)
  then
    perform graphile_worker.add_job('dispatch', run_at => v_now, job_key => 'dispatch:late', max_attempts => 3);
  end if;
  return v_count;
end;
$function$;
comment on function bookpost_private.sweep(boolean) is 'Frees the jobs of workers that stopped beating, closes lookups whose worker died or whose lease ran out as interrupted, and asks for a dispatch where the last is more than a minute ago; thorough (once a minute, by dispatch): also jobs of workers that never beat. Returns how many lookups. Does not commit.';
grant execute on function bookpost_private.sweep(boolean) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.telling_scan(parcel_id uuid, status text)
 RETURNS SETOF bookpost.tracking_events
 LANGUAGE sql
 STABLE ROWS 1
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT e.parcel_id,
     e.identity,
     e.occurred_at,
     e.local_time,
     e.time_zone,
     e.is_date_only,
     e.raw_time,
     e.status,
     e.raw_code,
     e.is_code_listed,
     e.description,
     e.location,
     e.country_code,
     e.reason_code,
     e.is_action_required,
     e.sort_at,
     e.sort_rank,
     e.first_seen_at
    FROM (bookpost.tracking_events e
      JOIN bookpost.parcels p ON ((p.id = e.parcel_id)))
   WHERE ((e.parcel_id = telling_scan.parcel_id) AND (NOT bookpost_private.is_of_earlier_life(e.occurred_at, e.local_time, e.is_date_only, p.sent_on, p.created_at)))
   ORDER BY COALESCE((e.status = telling_scan.status), false) DESC, e.sort_at DESC, e.sort_rank DESC, e.identity DESC
  LIMIT 1;
END;
grant execute on function bookpost_private.telling_scan(uuid,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_books__tell_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function bookpost_private.tg_books__tell_changes() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_carrier_apis__insert_companions()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into bookpost.carrier_circuits (api_code) values (NEW.code);
  insert into bookpost_private.budgets (api_code) values (NEW.code);
  return null;
end;
$function$;
grant execute on function bookpost_private.tg_carrier_apis__insert_companions() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_carrier_apis__keep_day_counts()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_old date := (clock_timestamp() at time zone OLD.day_time_zone)::date;
  v_new date := (clock_timestamp() at time zone NEW.day_time_zone)::date;
begin
  -- In the one lock order.
  perform 1 from bookpost_private.checks c where c.api_code = NEW.code and c.day = v_old order by c.parcel_id for no key update;
  update bookpost_private.checks c set day = v_new where c.api_code = NEW.code and c.day = v_old;
  update bookpost_private.budgets b set day = v_new where b.api_code = NEW.code and b.day = v_old;
  return null;
end;
$function$;
grant execute on function bookpost_private.tg_carrier_apis__keep_day_counts() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_carrier_limits__insert_window()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  insert into bookpost_private.call_windows (api_code, call_window) values (NEW.api_code, NEW.call_window);
  return null;
end;
$function$;
grant execute on function bookpost_private.tg_carrier_limits__insert_window() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_carriers__move_checks()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function bookpost_private.tg_carriers__move_checks() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_notifications__tell_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function bookpost_private.tg_notifications__tell_changes() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_parcel_books__note_forsaken()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  -- Whether it was the last one is not asked here: two that end at once would each still see the other.
  if TG_OP = 'DELETE' or NEW.stopped_at is not null then
    insert into bookpost_private.forsaken_parcels (parcel_id) values (OLD.parcel_id);
  end if;
  return null;
end;
$function$;
grant execute on function bookpost_private.tg_parcel_books__note_forsaken() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_parcel_books__tell_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function bookpost_private.tg_parcel_books__tell_changes() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_parcels__tell_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function bookpost_private.tg_parcels__tell_changes() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_tracking_events__tell_changes()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function bookpost_private.tg_tracking_events__tell_changes() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.tg_users__forget_address()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if NEW.phone_number is distinct from OLD.phone_number then
    -- An app that has verified the new number itself says so in the same statement.
    if NEW.phone_verified_at is not distinct from OLD.phone_verified_at then
      NEW.phone_verified_at := null;
      NEW.is_sms_wanted := false;
    end if;
    NEW.sms_opted_out_at := null;
  end if;
  if NEW.email is distinct from OLD.email then
    NEW.email_refused_at := null;
  end if;
  return NEW;
end;
$function$;
grant execute on function bookpost_private.tg_users__forget_address() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.try_quarantined_parcel()
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 UPDATE bookpost_private.checks c SET next_check_at = clock_timestamp(), pause_reason = NULL::text
   WHERE (c.parcel_id = ( SELECT k.parcel_id
            FROM bookpost_private.checks k
           WHERE ((k.pause_reason = 'quarantined'::text) AND (k.crash_count = (bookpost_private.crashes_tolerated() + 1)) AND (NOT (EXISTS ( SELECT
                    FROM bookpost_private.checks t
                   WHERE ((t.crash_count = (bookpost_private.crashes_tolerated() + 1)) AND (((t.next_check_at >= (clock_timestamp() - '00:10:00'::interval)) AND (t.next_check_at <= clock_timestamp())) OR (EXISTS ( SELECT
                            FROM bookpost_private.leases l
                           WHERE (l.parcel_id = t.parcel_id)))))))))
           ORDER BY ( SELECT (h.reason IS NOT NULL)
                    FROM bookpost_private.hold(k.api_code) h(reason, until)), k.last_looked_at NULLS FIRST, k.parcel_id
          LIMIT 1
          FOR NO KEY UPDATE OF k SKIP LOCKED));
END;
comment on function bookpost_private.try_quarantined_parcel() is 'Lets one parcel that was set aside after two deaths of workers be looked at once more, unless another is being tried. Does not commit.';
grant execute on function bookpost_private.try_quarantined_parcel() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.waiting_digest(user_id uuid, channel text, due_at timestamp with time zone)
 RETURNS uuid
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;
grant execute on function bookpost_private.waiting_digest(uuid,text,timestamp with time zone) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.wake_dispatch()
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  -- A key of this transaction's own: many wake-ups in it are one job, and no row is shared with other transactions,
  -- which may be an app's and stay open for long.
  select graphile_worker.add_job(
    'dispatch', run_at => clock_timestamp(), job_key => 'dispatch:' || pg_catalog.pg_current_xact_id(), max_attempts => 3
  );
$function$;
comment on function bookpost_private.wake_dispatch() is 'Asks for a dispatch now instead of at the next minute. Does not commit.';
grant execute on function bookpost_private.wake_dispatch() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.wake_listeners()
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$ select pg_catalog.pg_notify('bookpost:changed', '') $function$;
comment on function bookpost_private.wake_listeners() is 'Tells at commit, on channel bookpost:changed, that there are changes. Does not commit.';
grant execute on function bookpost_private.wake_listeners() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.why_not_reached(person bookpost.users, channel text)
 RETURNS text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 SELECT
         CASE channel
             WHEN 'email'::text THEN
             CASE
                 WHEN ((person).email IS NULL) THEN 'no_address'::text
                 WHEN ((person).email_opted_out_at IS NOT NULL) THEN 'opted_out'::text
                 WHEN (NOT (person).is_email_wanted) THEN 'not_wanted'::text
                 WHEN ((person).email_refused_at IS NOT NULL) THEN 'address_refused'::text
                 ELSE NULL::text
             END
             WHEN 'sms'::text THEN
             CASE
                 WHEN ((person).phone_number IS NULL) THEN 'no_address'::text
                 WHEN ((person).sms_opted_out_at IS NOT NULL) THEN 'opted_out'::text
                 WHEN ((person).phone_verified_at IS NULL) THEN 'not_verified'::text
                 WHEN (NOT (person).is_sms_wanted) THEN 'not_wanted'::text
                 ELSE NULL::text
             END
             ELSE NULL::text
         END AS "case";
END;
comment on function bookpost_private.why_not_reached(bookpost.users,text) is 'Why a person is not to be reached by email or sms: no_address, opted_out, not_verified, not_wanted, address_refused; null where she is.';
grant execute on function bookpost_private.why_not_reached(bookpost.users,text) to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.witness_after()
 RETURNS interval
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN '00:00:04'::interval;
grant execute on function bookpost_private.witness_after() to bookpost_worker;

CREATE OR REPLACE FUNCTION bookpost_private.write_allowance(allowance bookpost_private.call_allowance)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
BEGIN ATOMIC
 UPDATE bookpost_private.call_windows w SET next_call_at = n.next_call_at
    FROM UNNEST((write_allowance.allowance).windows, (write_allowance.allowance).next_call_at) n(call_window, next_call_at)
   WHERE ((w.api_code = (write_allowance.allowance).api_code) AND (w.call_window = n.call_window));
 UPDATE bookpost_private.budgets b SET day = (write_allowance.allowance).day, day_calls = (write_allowance.allowance).day_calls, next_release_at = (write_allowance.allowance).next_release_at
   WHERE (b.api_code = (write_allowance.allowance).api_code);
END;
comment on function bookpost_private.write_allowance(bookpost_private.call_allowance) is 'Writes back what read_allowance has read and calls have been spent from. The caller has held the budget''s row locked since before it read. Does not commit.';
grant execute on function bookpost_private.write_allowance(bookpost_private.call_allowance) to bookpost_worker;
