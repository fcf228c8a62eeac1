--! Previous: sha1:17fbe185e4e2aa5eceedd935c22bebf29517aca5
--! Hash: sha1:cd3ceb5a1149ee24aaccf83c76bdac764f398533
--! Message: channels

-- By what people are reached beside the app: channels, the webhooks that apps have registered, and what proves consent.

create table bookpost_private.channels (
  channel text primary key,
  is_configured boolean not null default false,
  cap_per_hour integer,
  damping interval,
  keeps_quiet_hours boolean not null,
  supersedes boolean not null,
  retry_delays interval[] not null,
  max_failures integer not null,
  max_age interval not null,
  queues integer not null,
  constraint channels_limits_are_positive check (cap_per_hour > 0 and max_failures > 0 and queues > 0 and damping > '0' and max_age > '0'),
  constraint channels_have_a_retry_delay check (array_length(retry_delays, 1) > 0)
);

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

-- Email and text messages: graphile-worker's own schedule (e to the power of the attempt, in seconds, up to e^10 = 6.1 hours;
-- 25 attempts in 95 hours). A text message that is a day late tells nothing any more (chosen). Webhooks: the schedule that
-- Standard Webhooks gives as its example (10 attempts in 75 hours). Caps and damping: chosen; an inbox bears more than a phone.
insert into bookpost_private.channels
  (channel, is_configured, cap_per_hour, damping, keeps_quiet_hours, supersedes, retry_delays, max_failures, max_age, queues)
select c.channel, c.is_configured, c.cap_per_hour, c.damping, c.keeps_quiet_hours, c.supersedes,
  coalesce(c.retry_delays, array(select make_interval(secs => exp(n)) from generate_series(1, 10) n)),
  c.max_failures, c.max_age, c.queues
from (values
  ('email', false, 10, interval '30 minutes', true, true, null::interval[], 25, interval '96 hours', 5),
  ('sms', false, 3, interval '30 minutes', true, true, null, 25, interval '24 hours', 5),
  ('webhook', true, null, null, false, false,
    '{5 seconds, 5 minutes, 30 minutes, 2 hours, 5 hours, 10 hours, 14 hours, 20 hours, 24 hours}'::interval[], 10, interval '120 hours', 1)
) c (channel, is_configured, cap_per_hour, damping, keeps_quiet_hours, supersedes, retry_delays, max_failures, max_age, queues);

create table bookpost.webhook_endpoints (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references bookpost.users on delete cascade,
  url text not null,
  description text,
  created_at timestamptz not null default now(),
  disabled_at timestamptz,
  disabled_reason text,
  -- Whether it leads inside is found out when it is connected to: a name can point anywhere.
  constraint webhook_endpoints_url_is_http check (url ~ '^https?://[^[:space:]@/]+(/[^[:space:]]*)?$' and length(url) <= 2000),
  constraint webhook_endpoints_description_is_short check (length(description) <= 200),
  constraint webhook_endpoints_disabling_has_a_reason check ((disabled_at is null) = (disabled_reason is null)),
  constraint webhook_endpoints_disabled_reason_is_known check (disabled_reason in ('gone', 'failing', 'by_hand'))
);

comment on table bookpost.webhook_endpoints is 'Where an app hears of news by HTTP (Standard Webhooks).';
comment on column bookpost.webhook_endpoints.user_id is 'Whose news; null: everyone''s, for an app that serves them all.';
comment on column bookpost.webhook_endpoints.url is 'https; http only to a network that WEBHOOK_ALLOWED_NETWORKS names.';
comment on column bookpost.webhook_endpoints.description is 'What it is, in its owner''s words.';
comment on column bookpost.webhook_endpoints.disabled_at is 'Since when nothing is sent there; null: it is in use.';
comment on column bookpost.webhook_endpoints.disabled_reason is
  'gone: it answered 410; failing: a message could not be delivered in ten attempts over three days, and no other was meanwhile; by_hand: a person''s word.';

create index webhook_endpoints_user_id_idx on bookpost.webhook_endpoints (user_id);

create table bookpost_private.webhook_secrets (
  endpoint_id uuid not null references bookpost.webhook_endpoints on delete cascade,
  secret text not null,
  created_at timestamptz not null default clock_timestamp(),
  ends_at timestamptz,
  primary key (endpoint_id, secret),
  -- Standard Webhooks: 24 to 64 bytes in base64 after a prefix.
  constraint webhook_secrets_secret_is_standard check (secret collate "C" ~ '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$')
);

comment on table bookpost_private.webhook_secrets is
  'What messages to an endpoint are signed with. After a rotation the old secret signs beside the new one until ends_at.';

-- What stands between us and an email server, an SMS provider, an endpoint: on the happy path not written.
create table bookpost_private.routes (
  route text primary key,
  failure_count integer not null default 0,
  not_before timestamptz,
  last_error text,
  last_failed_at timestamptz
);

comment on table bookpost_private.routes is
  'Ways to people that are in trouble: email, sms, or webhook:<endpoint>. While not_before is to come, messages that way wait without being tried.';

create table bookpost_private.unsubscribe_tokens (
  user_id uuid primary key references bookpost.users on delete cascade,
  token uuid not null default gen_random_uuid(),
  constraint unsubscribe_tokens_token_is_unique unique (token)
);

comment on table bookpost_private.unsubscribe_tokens is 'What an email''s link to unsubscribe carries: 122 random bits, and no right but this one.';

create table bookpost_private.phone_verifications (
  user_id uuid primary key references bookpost.users on delete cascade,
  phone_number text not null,
  code_hash bytea,
  code_ends_at timestamptz,
  tries integer not null default 0
);

comment on table bookpost_private.phone_verifications is
  'A number that is being verified: the code''s hash (SHA-256 over the user''s id and the code), until when it counts and how often it was guessed. The code itself is made when it is sent and kept nowhere.';

create table bookpost_private.code_requests (
  id bigint generated always as identity primary key,
  -- NOTE: no reference. Whoever is deleted and added again, or changes the number and changes it back, is counted on.
  user_id uuid not null,
  phone_number text not null,
  requested_at timestamptz not null default clock_timestamp()
);

comment on table bookpost_private.code_requests is
  'Who asked for a code to which number: for the caps of request_phone_verification. Kept until the next cleaning after a day.';

create index code_requests_user_id_idx on bookpost_private.code_requests (user_id, requested_at);
-- The numbers that differ in their last three digits only.
create index code_requests_block_idx on bookpost_private.code_requests (left(phone_number, -3), requested_at);

select bookpost_private.protect_table(t) from unnest(array[
  'bookpost_private.channels', 'bookpost.webhook_endpoints', 'bookpost_private.webhook_secrets', 'bookpost_private.routes',
  'bookpost_private.unsubscribe_tokens', 'bookpost_private.phone_verifications', 'bookpost_private.code_requests'
]::regclass[]) t;

grant select on bookpost.webhook_endpoints to bookpost_member, bookpost_operator;
create policy member_sees_her_own on bookpost.webhook_endpoints for select to bookpost_member
  using (user_id = (select bookpost.current_user_id()));
create policy operator_sees_all on bookpost.webhook_endpoints for select to bookpost_operator using (true);

-- Which channels the living workers can send by.
create function bookpost_private.offer_channels(worker_id text, channels text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function bookpost_private.offer_channels(text, text[]) is
  'A living worker says by which channels it can send; said again every few seconds. A channel that no living worker offers is not configured, and no message is queued for it. While no worker lives, nothing changes. Does not commit.';
