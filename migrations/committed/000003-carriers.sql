--! Previous: sha1:1bb94a53374b9f6aabaa1de37a380d70a5489db7
--! Hash: sha1:6eb6ee987251df81935cb18efa208ecdb7350ac1
--! Message: carriers

-- Who carries, whom we ask, and what each of them allows.

create table bookpost.parcel_statuses (
  status text primary key,
  description text not null,
  position smallint not null,
  is_told boolean not null,
  constraint parcel_statuses_position_is_unique unique (position)
);

comment on table bookpost.parcel_statuses is 'The stages of a parcel, the same words for every carrier.';
comment on column bookpost.parcel_statuses.is_told is 'Whether reaching this stage is worth a notification.';

insert into bookpost.parcel_statuses (status, position, is_told, description) values
  ('pending', 1, false, 'The carrier does not know the number yet.'),
  ('pre_transit', 2, true, 'Announced to the carrier, not handed over yet.'),
  ('in_transit', 3, true, 'On its way.'),
  ('out_for_delivery', 4, true, 'On the vehicle that delivers it.'),
  ('available_for_pickup', 5, true, 'Waiting to be collected.'),
  ('delivered', 6, true, 'Delivered.'),
  ('exception', 7, true, 'Something is wrong or late; the carrier''s text says what.'),
  ('return_to_sender', 8, true, 'On its way back, or back, to the sender.'),
  ('cancelled', 9, true, 'The label was voided; nothing will come.'),
  ('unknown', 10, false, 'The carrier knows the number but has told no stage we can read.');

create table bookpost.carrier_apis (
  code text primary key,
  name text not null,
  batch_size integer not null default 1,
  calls_in_flight integer not null default 10,
  calls_per_day integer,
  calls_per_parcel_per_day integer,
  day_time_zone text not null default 'UTC',
  min_check_interval interval not null default '1 minute',
  failure_threshold integer not null default 3,
  cooldown interval not null default '30 minutes',
  max_cooldown interval not null default '4 hours',
  release_duration interval not null default '10 minutes',
  lease_duration interval not null default '100 seconds',
  constraint carrier_apis_code_is_lower_snake check (code collate "C" ~ '^[a-z][a-z0-9_]{1,30}$'),
  constraint carrier_apis_limits_are_positive check (
    batch_size between 1 and 100 and calls_in_flight > 0 and calls_per_day > 0 and calls_per_parcel_per_day > 0 and failure_threshold > 0
  ),
  constraint carrier_apis_day_time_zone_is_known check ((timestamptz '2000-01-01 00:00Z' at time zone day_time_zone) is not null),
  constraint carrier_apis_intervals_are_positive check (
    min_check_interval between '0' and '30 days' and cooldown > '0' and max_cooldown between cooldown and '30 days'
    and release_duration between '0' and '1 day' and lease_duration > '0' and lease_duration <= '1 hour'
  )
);

comment on table bookpost.carrier_apis is
  'Whom we ask: one row per adapter, with the limits its owner sets. Mostly a carrier''s own API; an aggregator can answer for many carriers.';
comment on column bookpost.carrier_apis.code is 'The adapter''s name, and the prefix of its environment variables.';
comment on column bookpost.carrier_apis.name is 'In the words of its owner.';
comment on column bookpost.carrier_apis.batch_size is 'How many numbers one request may ask about; the adapter''s own number.';
comment on column bookpost.carrier_apis.day_time_zone is 'IANA name: where the API''s day begins.';
comment on column bookpost.carrier_apis.max_cooldown is 'The longest a circuit stays open, however often its probe fails.';
comment on column bookpost.carrier_apis.calls_in_flight is 'Requests under way at once, over all processes. 10 unless the carrier says less.';
comment on column bookpost.carrier_apis.calls_per_day is
  'At most this many requests a day, tokens included; null: not limited. The day begins at midnight in day_time_zone. Spent evenly over the day.';
comment on column bookpost.carrier_apis.calls_per_parcel_per_day is 'At most this many requests about one parcel a day; null: not limited.';
comment on column bookpost.carrier_apis.release_duration is
  'After an outage: how long it takes until as much goes out as may. Chosen 10 minutes; half of what is due goes in the last 3.';
comment on column bookpost.carrier_apis.min_check_interval is 'A parcel is not looked up again sooner than this, whoever asks.';
comment on column bookpost.carrier_apis.failure_threshold is 'So many failures in a row open the circuit.';
comment on column bookpost.carrier_apis.cooldown is 'How long an opened circuit stays open before one probe is let through; doubled by each failed probe up to max_cooldown.';
comment on column bookpost.carrier_apis.lease_duration is 'A lookup that has not reported by then is given up as interrupted. Longer than the four requests of 20 seconds that a lookup may take.';

insert into bookpost.carrier_apis (code, name, batch_size, calls_per_day, calls_per_parcel_per_day, day_time_zone, min_check_interval) values
  ('ups', 'UPS Tracking', 1, null, null, 'UTC', '1 minute'),
  -- First plan: 250 calls a day (reset 24:00 GMT), 10 a day for each shipment.
  ('dhl', 'DHL Shipment Tracking', 1, 250, 10, 'UTC', '10 minutes'),
  ('usps', 'USPS Tracking', 1, null, null, 'UTC', '10 minutes'),
  -- 100,000 a day for the Track group, counted from 00:00 GMT.
  ('fedex', 'FedEx Track', 30, 100000, null, 'UTC', '1 minute'),
  -- 50 a day on the assessment plan; the clock of its day is not published, London's is assumed.
  ('royal_mail', 'Royal Mail Tracking', 1, 50, null, 'Europe/London', '10 minutes'),
  ('canada_post', 'Canada Post Tracking', 1, null, null, 'UTC', '1 minute'),
  ('la_poste', 'La Poste Suivi', 1, null, null, 'UTC', '1 minute'),
  ('australia_post', 'Australia Post Tracking', 10, null, null, 'UTC', '1 minute'),
  ('postnl', 'PostNL Shipment Status', 1, null, null, 'UTC', '5 minutes'),
  ('pitney_bowes', 'Pitney Bowes Shipping', 1, null, null, 'UTC', '5 minutes'),
  ('easypost', 'EasyPost Trackers', 1, null, null, 'UTC', '5 minutes'),
  ('shippo', 'Shippo Tracking', 1, null, null, 'UTC', '5 minutes'),
  ('aftership', 'AfterShip Tracking', 1, null, null, 'UTC', '5 minutes'),
  ('seventeen_track', '17TRACK', 40, null, null, 'UTC', '5 minutes');

create table bookpost.carrier_limits (
  api_code text not null references bookpost.carrier_apis on update cascade on delete cascade,
  call_window interval not null,
  calls integer not null,
  primary key (api_code, call_window),
  -- A call in 10 microseconds at most: finer is no limit, and finer than a microsecond could not be told from none.
  constraint carrier_limits_are_sane check (
    calls > 0 and call_window between '1 millisecond' and '7 days' and calls <= extract(epoch from call_window) * 100000
  )
);

comment on table bookpost.carrier_limits is
  'How many requests an API may get in any stretch of time of a given length, tokens included. One row per length; none: not limited.';
comment on column bookpost.carrier_limits.call_window is 'The length of time that calls counts in, wherever it begins.';
comment on column bookpost.carrier_limits.calls is 'At most this many requests in any call_window.';

insert into bookpost.carrier_limits (api_code, call_window, calls) values
  -- DHL, Shipment Tracking Unified, first plan: one every 5 seconds.
  ('dhl', '5 seconds', 1),
  -- USPS: 60 an hour for each app unless more was granted; token calls count. 5 a minute is what users report.
  ('usps', '1 hour', 60),
  ('usps', '1 minute', 5),
  -- FedEx: 1,400 in 10 seconds for each project.
  ('fedex', '10 seconds', 1400),
  -- La Poste: its refusals name 100 calls in a second; a tenth of that is plenty.
  ('la_poste', '1 second', 10),
  -- Australia Post: 10 calls a minute (third-party documentation).
  ('australia_post', '1 minute', 10),
  -- EasyPost: dynamic, called high; asked gently.
  ('easypost', '1 second', 5),
  -- Shippo: 500 reads a minute.
  ('shippo', '1 minute', 500),
  -- AfterShip: reading lists 6 times a second (its 2025-01 documentation).
  ('aftership', '1 second', 6),
  -- 17TRACK: 3 a second (not verified).
  ('seventeen_track', '1 second', 3);
-- NOTE: UPS, PostNL and Pitney Bowes publish no rate, Canada Post throttles and does not say how: they answer 429 when they
-- have had enough, and then wait.

create table bookpost.carriers (
  code text primary key,
  name text not null,
  tracking_page text,
  api_code text references bookpost.carrier_apis on update cascade on delete set null,
  constraint carriers_code_is_lower_snake check (code collate "C" ~ '^[a-z][a-z0-9_]{1,30}$'),
  constraint carriers_tracking_page_is_https check (tracking_page ~ '^https://[^[:space:]]*\{number\}')
);

comment on table bookpost.carriers is 'Who carries parcels.';
comment on column bookpost.carriers.code is 'What a parcel names it by.';
comment on column bookpost.carriers.name is 'As people know it.';
comment on column bookpost.carriers.tracking_page is 'The carrier''s public page; {number} stands for the tracking number.';
comment on column bookpost.carriers.api_code is
  'Whose API is asked for this carrier''s parcels; null: nobody can be asked, the parcel carries a link and people set its status.';

create index carriers_api_code_idx on bookpost.carriers (api_code);

insert into bookpost.carriers (code, name, tracking_page, api_code) values
  ('ups', 'UPS', 'https://www.ups.com/track?track=yes&trackNums={number}&loc=en_US', 'ups'),
  ('dhl', 'DHL', 'https://www.dhl.com/en/express/tracking.html?brand=DHL&AWB={number}', 'dhl'),
  ('usps', 'USPS', 'https://tools.usps.com/go/TrackConfirmAction?tLabels={number}', 'usps'),
  ('fedex', 'FedEx', 'https://www.fedex.com/apps/fedextrack/?tracknumbers={number}', 'fedex'),
  ('royal_mail', 'Royal Mail', 'https://www.royalmail.com/track-your-item#/tracking-results/{number}', 'royal_mail'),
  ('canada_post', 'Canada Post', 'https://www.canadapost-postescanada.ca/track-reperage/en#/search?searchFor={number}', 'canada_post'),
  ('la_poste', 'La Poste', 'https://www.laposte.fr/outils/suivre-vos-envois?code={number}', 'la_poste'),
  ('australia_post', 'Australia Post', 'https://auspost.com.au/mypost/track/details/{number}', 'australia_post'),
  ('postnl', 'PostNL', null, 'postnl'),
  ('parcelforce', 'Parcelforce', null, null),
  ('other', 'Another carrier', null, null);

create table bookpost.circuit_states (
  state text primary key,
  description text not null
);

comment on table bookpost.circuit_states is 'What a circuit breaker can be.';

insert into bookpost.circuit_states (state, description) values
  ('closed', 'All is well: lookups go out.'),
  ('open', 'The API failed too often in a row: nothing goes out until open_until.'),
  ('half_open', 'One probe is out; its answer closes the circuit or opens it again.');

create table bookpost.carrier_circuits (
  api_code text primary key references bookpost.carrier_apis on update cascade on delete cascade,
  state text not null default 'closed' references bookpost.circuit_states,
  generation integer not null default 1,
  consecutive_failures integer not null default 0,
  failed_lookup_ids uuid[] not null default '{}',
  opened_at timestamptz,
  open_until timestamptz,
  cooldown interval,
  probe_lookup_id uuid,
  probe_until timestamptz,
  is_forced boolean not null default false,
  forced_until timestamptz,
  released_at timestamptz,
  changed_at timestamptz not null default now(),
  constraint carrier_circuits_state_and_times_agree check (
    case state
      when 'closed' then
        opened_at is null and open_until is null and cooldown is null and probe_lookup_id is null and probe_until is null
      when 'open' then
        opened_at is not null and open_until is not null and cooldown is not null and probe_lookup_id is null and probe_until is null
      when 'half_open' then
        opened_at is not null and open_until is not null and cooldown is not null and probe_lookup_id is not null and probe_until is not null
        and not is_forced
    end
  ),
  constraint carrier_circuits_forced_has_an_end check (is_forced = (forced_until is not null)),
  constraint carrier_circuits_counts_are_sane check (
    consecutive_failures >= 0 and generation >= 1 and cardinality(failed_lookup_ids) <= least(2 * consecutive_failures, 20)
  )
) with (fillfactor = 50);

comment on table bookpost.carrier_circuits is
  'The circuit breaker of each API. Moved only by functions; not written while all is well.';
comment on column bookpost.carrier_circuits.state is 'Whether lookups go out.';
comment on column bookpost.carrier_circuits.consecutive_failures is 'How many requests in a row have failed; one that asks about many parcels counts once.';
comment on column bookpost.carrier_circuits.released_at is
  'When it last closed after an outage; for release_duration from then on lookups are let through gradually.';
comment on column bookpost.carrier_circuits.opened_at is 'Since when it has not been closed; null: it is.';
comment on column bookpost.carrier_circuits.forced_until is 'When the hold by hand ends.';
comment on column bookpost.carrier_circuits.changed_at is 'When it last moved.';
comment on column bookpost.carrier_circuits.generation is 'Raised by every transition; a report from an older one changes nothing.';
comment on column bookpost.carrier_circuits.failed_lookup_ids is 'The failures in a row, newest last, at most 20, and at most two of one request: the evidence for an opening.';
comment on column bookpost.carrier_circuits.open_until is 'When open: nothing is asked before this time; then one probe may go.';
comment on column bookpost.carrier_circuits.cooldown is 'How long this opening lasts; a failed probe doubles it for the next.';
comment on column bookpost.carrier_circuits.probe_until is 'When half open: a probe that has not reported by then is lost and another may take its place.';
comment on column bookpost.carrier_circuits.is_forced is 'A person holds it open or closed until forced_until.';

insert into bookpost.carrier_circuits (api_code) select code from bookpost.carrier_apis;

create table bookpost_private.circuit_transitions (
  id bigint generated always as identity primary key,
  api_code text not null references bookpost.carrier_apis on update cascade on delete cascade,
  generation integer not null,
  from_state text not null,
  to_state text not null,
  reason text not null,
  lookup_ids uuid[] not null default '{}',
  author text,
  occurred_at timestamptz not null default clock_timestamp()
);

comment on table bookpost_private.circuit_transitions is 'Why each circuit moved: the reason, the lookups that caused it, or the person.';

-- "What happened to this API lately?"
create index circuit_transitions_api_code_id_idx on bookpost_private.circuit_transitions (api_code, id desc);

create table bookpost_private.budgets (
  api_code text primary key references bookpost.carrier_apis on update cascade on delete cascade,
  next_release_at timestamptz not null default '-infinity',
  waiting_until timestamptz not null default '-infinity',
  day date not null default '-infinity',
  day_calls integer not null default 0,
  not_before timestamptz,
  not_before_reason text,
  parked_at timestamptz,
  parked_reason text,
  parked_fingerprint text,
  constraint budgets_day_calls_is_not_negative check (day_calls >= 0),
  constraint budgets_wait_has_a_reason check ((not_before is null) = (not_before_reason is null)),
  constraint budgets_parking_has_a_reason check ((parked_at is null) = (parked_reason is null))
) with (fillfactor = 20);

comment on table bookpost_private.budgets is
  'What is left of each API''s allowance, and whether it has told us to wait. One row per API, written once per batch of lookups.';
comment on column bookpost_private.budgets.next_release_at is
  'While an API is released after an outage: the next permit is for this time or later.';
comment on column bookpost_private.budgets.waiting_until is
  'The end of the line: the last lookup that found all places in flight taken was told to come back then; the next is told later.';
comment on column bookpost_private.budgets.day is 'The API''s own day that day_calls counts.';
comment on column bookpost_private.budgets.not_before is 'The carrier said: not before this time (429 or quota).';
comment on column bookpost_private.budgets.parked_fingerprint is
  'Which credentials were refused last; a worker that comes with others ends the parking, one that has these gets no permit.';

insert into bookpost_private.budgets (api_code) select code from bookpost.carrier_apis;

create table bookpost_private.call_windows (
  api_code text not null,
  call_window interval not null,
  next_call_at timestamptz not null default '-infinity',
  primary key (api_code, call_window),
  constraint call_windows_belongs_to_limit foreign key (api_code, call_window)
    references bookpost.carrier_limits on update cascade on delete cascade
) with (fillfactor = 20);

comment on table bookpost_private.call_windows is
  'How far the calls granted so far have used each limit up: next_call_at is when the next one would be due at an even pace. Written with the budget''s row locked, once per batch.';

insert into bookpost_private.call_windows (api_code, call_window) select api_code, call_window from bookpost.carrier_limits;

-- Every API has its circuit and its budget from the start: a lock on a missing row would look like a lock held by another.
create function bookpost_private.tg_carrier_apis__insert_companions() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into bookpost.carrier_circuits (api_code) values (NEW.code);
  insert into bookpost_private.budgets (api_code) values (NEW.code);
  return null;
end;
$$;

create trigger _500_insert_companions after insert on bookpost.carrier_apis
  for each row execute function bookpost_private.tg_carrier_apis__insert_companions();

create function bookpost_private.tg_carrier_limits__insert_window() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into bookpost_private.call_windows (api_code, call_window) values (NEW.api_code, NEW.call_window);
  return null;
end;
$$;

create trigger _500_insert_window after insert on bookpost.carrier_limits
  for each row execute function bookpost_private.tg_carrier_limits__insert_window();

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost.parcel_statuses', 'bookpost.carrier_apis', 'bookpost.carrier_limits', 'bookpost.carriers', 'bookpost.circuit_states',
  'bookpost.carrier_circuits', 'bookpost_private.circuit_transitions', 'bookpost_private.budgets', 'bookpost_private.call_windows'
]::regclass[]) t;

grant select on
  bookpost.parcel_statuses, bookpost.carrier_apis, bookpost.carrier_limits, bookpost.carriers, bookpost.circuit_states,
  bookpost.carrier_circuits
  to bookpost_visitor, bookpost_member, bookpost_operator;
create policy everyone_reads on bookpost.parcel_statuses for select using (true);
create policy everyone_reads on bookpost.carrier_apis for select using (true);
create policy everyone_reads on bookpost.carrier_limits for select using (true);
create policy everyone_reads on bookpost.carriers for select using (true);
create policy everyone_reads on bookpost.circuit_states for select using (true);
create policy everyone_reads on bookpost.carrier_circuits for select using (true);
