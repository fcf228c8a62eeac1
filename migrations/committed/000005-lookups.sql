--! Previous: sha1:526d8ecfdaa3ca916c15d59ae4827bb64adab5eb
--! Hash: sha1:f097f16cb06097965a22d12064c357e7d0373d0b
--! Message: lookups

-- What changes at every look, and the ledger of looks.

create table bookpost_private.lookup_outcomes (
  outcome text primary key,
  description text not null,
  circuit_effect text not null,
  retry_after interval,
  max_retry_after interval,
  person_after interval,
  constraint lookup_outcomes_circuit_effect_is_known check (circuit_effect in ('success', 'failure', 'none')),
  constraint lookup_outcomes_retry_has_both_ends check (
    (retry_after is null) = (max_retry_after is null) and retry_after > '0' and max_retry_after between retry_after and '30 days'
  )
);

comment on table bookpost_private.lookup_outcomes is
  'How a lookup can end, what that means for the circuit, and when to look again: retry_after, doubled with every failure in a row up to max_retry_after; null: by polling policy, or as soon as the API may be asked.';
comment on column bookpost_private.lookup_outcomes.person_after is
  'When a parcel''s last look ended so and nothing new has been heard of it for this long, a person should look (bookpost_ops.needs_person); null: never.';

insert into bookpost_private.lookup_outcomes (outcome, circuit_effect, retry_after, max_retry_after, person_after, description) values
  ('updated', 'success', null, null, null, 'The carrier answered and something is new.'),
  ('unchanged', 'success', null, null, null, 'The carrier answered and nothing is new.'),
  -- 30 days: a label that nobody has handed over by then, or a number with a slip of the pen in it.
  ('not_found', 'success', null, null, '30 days', 'The carrier is well and does not know the number.'),
  ('unavailable', 'failure', '2 minutes', '4 hours', null, 'No answer: timeout, refused, 5xx, truncated.'),
  ('malformed', 'failure', '30 minutes', '1 day', '0', 'An answer that makes no sense; a person should look.'),
  ('rate_limited', 'none', null, null, null, 'The carrier asked us to slow down; the API waits.'),
  ('rejected', 'none', '1 day', '1 day', '0', 'The carrier refused this request; a refusal of our credentials parks the API instead.'),
  ('out_of_quota', 'none', null, null, null, 'The day''s or hour''s allowance is spent; the API waits for the reset.'),
  ('local', 'none', '1 minute', '15 minutes', null, 'Our side: no name, no route, or we were shutting down.'),
  ('interrupted', 'none', null, null, null, 'The process that looked died or lost its lease.');

create table bookpost_private.checks (
  parcel_id uuid primary key references bookpost.parcels on delete cascade,
  api_code text references bookpost.carrier_apis on update cascade on delete restrict,
  next_check_at timestamptz,
  pause_reason text,
  last_looked_at timestamptz,
  last_answered_at timestamptz,
  last_changed_at timestamptz,
  last_outcome text references bookpost_private.lookup_outcomes on update cascade,
  last_error text,
  digest text,
  unchanged_count integer not null default 0,
  failure_count integer not null default 0,
  crash_count integer not null default 0,
  head_start interval not null default '0',
  utc_offset interval,
  day date not null default '-infinity',
  day_calls integer not null default 0,
  constraint checks_next_look_or_reason check ((next_check_at is null) = (pause_reason is not null)),
  constraint checks_pause_reason_is_known check (pause_reason in ('closed', 'no_api', 'quarantined')),
  constraint checks_due_needs_an_api check (next_check_at is null or api_code is not null),
  constraint checks_crash_count_is_not_negative check (crash_count >= 0),
  constraint checks_day_calls_is_not_negative check (day_calls >= 0)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

comment on table bookpost_private.checks is
  'For each parcel what every look changes: when next, when last, how it went. Narrow, so that writing it is cheap.';
comment on column bookpost_private.checks.pause_reason is
  'Why there is no next look: closed; no_api (people set the status); quarantined (it fails or kills our workers, see last_error).';
comment on column bookpost_private.checks.digest is 'Of the last answer as we read it; the same digest again means nothing is new.';

comment on column bookpost_private.checks.crash_count is
  'How many of its lookups in a row ended with the death of their worker. Two set the parcel aside as quarantined; then it is tried alone, once.';
comment on column bookpost_private.checks.head_start is
  'When calls are scarce: how much earlier than its turn it goes, as if it had been due that much sooner (head_starts).';
comment on column bookpost_private.checks.utc_offset is 'Of the wall clock where it was scanned last, as far as the carrier told.';
comment on column bookpost_private.checks.day is 'The API''s own day that day_calls counts.';
comment on column bookpost_private.checks.day_calls is 'How many requests have asked about this parcel on that day.';

-- What dispatch reads: the due parcels of one API, longest overdue first.
create index checks_api_code_next_check_at_idx on bookpost_private.checks (api_code, next_check_at, parcel_id)
  where next_check_at is not null;

-- The few that a worker died over.
create index checks_crash_count_idx on bookpost_private.checks (crash_count) where crash_count > 0;

-- NOTE: no key and no foreign key: noting must never wait for another's note, and one too many costs nothing.
create table bookpost_private.forsaken_parcels (
  parcel_id uuid not null
);

comment on table bookpost_private.forsaken_parcels is
  'Parcels of which a relation has ended, until sweep has looked whether it was the last: whoever deletes a book must not wait for a lookup.';

create index forsaken_parcels_parcel_id_idx on bookpost_private.forsaken_parcels (parcel_id);

create table bookpost_private.leases (
  parcel_id uuid primary key references bookpost.parcels on delete cascade,
  lookup_id uuid not null,
  batch_id uuid not null,
  api_code text not null references bookpost.carrier_apis on update cascade on delete cascade,
  generation integer not null,
  is_probe boolean not null,
  worker_id text not null,
  started_at timestamptz not null,
  call_at timestamptz not null,
  lease_until timestamptz not null,
  calls integer not null,
  constraint leases_lookup_id_is_unique unique (lookup_id),
  constraint leases_ends_after_it_starts check (lease_until > started_at)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

comment on column bookpost_private.leases.call_at is 'When its request is to go out.';
comment on column bookpost_private.leases.calls is 'How many requests its permit has paid for so far; 0: another lookup of its batch has.';
comment on column bookpost_private.leases.batch_id is 'Lookups that share one request, where the API takes many numbers at once.';
comment on table bookpost_private.leases is
  'The lookups under way: one per parcel. Recording deletes the lease, which is how a late answer is recognised.';

-- Calls in flight of one API.
create index leases_api_code_idx on bookpost_private.leases (api_code);
-- NOTE: no foreign keys from here down: ledgers outlive what they tell of, and go by partition.

create table bookpost_private.lookups (
  id uuid not null,
  parcel_id uuid not null,
  batch_id uuid not null,
  api_code text not null,
  generation integer not null,
  is_probe boolean not null,
  worker_id text not null,
  started_at timestamptz not null,
  finished_at timestamptz not null,
  outcome text not null,
  error_code text,
  error_message text,
  calls integer not null,
  primary key (id, finished_at)
) partition by range (finished_at);

comment on table bookpost_private.lookups is 'The ledger: one row per finished lookup, never changed.';
create index lookups_parcel_id_finished_at_idx on bookpost_private.lookups (parcel_id, finished_at desc);
create index lookups_finished_at_idx on bookpost_private.lookups (finished_at desc);

create table bookpost_private.carrier_calls (
  lookup_id uuid not null,
  api_code text not null,
  kind text not null,
  http_status integer,
  called_at timestamptz not null,
  duration interval not null
) partition by range (called_at);

comment on table bookpost_private.carrier_calls is 'One row per HTTP request that went out, token requests included: what the carrier counts too.';
create index carrier_calls_api_code_called_at_idx on bookpost_private.carrier_calls (api_code, called_at desc);

create table bookpost_private.carrier_answers (
  lookup_id uuid not null,
  parcel_id uuid not null,
  api_code text not null,
  received_at timestamptz not null,
  digest text,
  body text not null,
  primary key (lookup_id, received_at)
) partition by range (received_at);

comment on table bookpost_private.carrier_answers is
  'What the carrier said, kept when it was new or made no sense, for evidence and replay. May hold names and addresses.';
create index carrier_answers_parcel_id_received_at_idx on bookpost_private.carrier_answers (parcel_id, received_at desc);

create table bookpost_private.workers (
  id text primary key,
  host_name text not null,
  process_id integer not null,
  started_at timestamptz not null default now(),
  beating_since timestamptz not null default clock_timestamp(),
  beat_at timestamptz not null default clock_timestamp(),
  clock_ahead interval,
  api_fingerprints jsonb not null default '{}',
  channels text[] not null default '{}',
  stale_results integer not null default 0
) with (fillfactor = 50);

comment on table bookpost_private.workers is
  'Which worker processes are alive, and which APIs each has credentials for (api code to a fingerprint of them).';
comment on column bookpost_private.workers.channels is 'By which channels it can send messages.';
comment on column bookpost_private.workers.beating_since is 'Since when it has beaten without a gap.';
comment on column bookpost_private.workers.clock_ahead is
  'How far its wall clock is ahead of the database''s (negative: behind), as it measured last; null: not yet.';
comment on column bookpost_private.workers.stale_results is 'Answers that came after their lease was gone, and changed nothing.';

create table bookpost_private.worker_deaths (
  worker_id text not null,
  host_name text not null,
  process_id integer not null,
  started_at timestamptz not null,
  beat_at timestamptz not null,
  found_at timestamptz not null default clock_timestamp(),
  interrupted_lookups integer not null default 0,
  stale_results integer not null default 0
);

comment on table bookpost_private.worker_deaths is
  'Workers that stopped beating without signing off, found by sweep: killed, crashed, frozen or cut off. Kept for 30 days.';
comment on column bookpost_private.worker_deaths.interrupted_lookups is 'Lookups it had under way.';
comment on column bookpost_private.worker_deaths.stale_results is
  'Answers that it sent after it had been given up and before it beat again, and that changed nothing.';
create index worker_deaths_found_at_idx on bookpost_private.worker_deaths (found_at);

-- One row: a dispatch writes it, and every heartbeat reads it.
create table bookpost_private.dispatch_clock (
  is_only boolean primary key default true,
  dispatched_at timestamptz not null default '-infinity',
  constraint dispatch_clock_has_one_row check (is_only)
) with (fillfactor = 20);

comment on table bookpost_private.dispatch_clock is
  'When dispatch ran last, by the database''s clock: whoever finds that too long ago asks for one, and a time in the future tells that the clock was set back.';

insert into bookpost_private.dispatch_clock default values;

-- Makes the monthly partitions of the ledgers from this month to `months` ahead. Safe to run any
-- number of times; a second caller waits for the first. What falls outside goes to the default
-- partition, so nothing is ever refused for want of one.
create function bookpost_private.make_partitions(months integer default 2) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function bookpost_private.make_partitions(integer) is
  'Makes the ledgers'' partitions for this month and the next ones. Run daily by the maintain task.';

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost_private.lookup_outcomes', 'bookpost_private.checks',
  'bookpost_private.forsaken_parcels', 'bookpost_private.leases', 'bookpost_private.lookups', 'bookpost_private.carrier_calls',
  'bookpost_private.carrier_answers', 'bookpost_private.workers', 'bookpost_private.worker_deaths', 'bookpost_private.dispatch_clock'
]::regclass[]) t;

select bookpost_private.make_partitions();
