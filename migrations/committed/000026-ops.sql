--! Previous: sha1:077a4c63b4f0fcefb82cbd7ad0f0f5ba18838640
--! Hash: sha1:95edab78d425c8be0ad6e80c9db3539f167e810a
--! Message: ops

-- Views for people at psql. They run with the reader's own rights.

-- The queue, through a function: a view on the queue's view would stand in the way of its next migration.
create function bookpost_private.queued_lookups()
returns table (parcel_id uuid, job_id bigint, run_at timestamptz, attempts integer, max_attempts integer, locked_at timestamptz, locked_by text, last_error text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select substring(j.key from 8)::uuid, j.id::bigint, j.run_at, j.attempts::integer, j.max_attempts::integer, j.locked_at, j.locked_by, j.last_error
  from graphile_worker.jobs j
  where j.task_identifier = 'track_book' and j.key ~ '^parcel:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
end;
$$;

create view bookpost_ops.why with (security_invoker = true) as
with gates as materialized (
  select a.code, case when s.state = 'closed' and s.released_at + a.release_duration > now() then s.released_at + a.release_duration end as released_until,
    (now() at time zone a.day_time_zone)::date as today, coalesce(a.calls_per_parcel_per_day, 2147483647) as calls_per_parcel_per_day, x.allowance, x.urgent_allowance, x.reason, x.until, x.next_call_at, greatest(x.pace, x.flow_spacing) as pace, x.batch_size
  from bookpost.carrier_apis a
  join bookpost.carrier_circuits s on s.api_code = a.code
  cross join lateral bookpost_private.gate(a.code) x
)
select
  p.id as parcel_id,
  p.carrier_code,
  p.tracking_number,
  p.status,
  t.titles,
  case
    when l.parcel_id is not null then 'looking'
    when c.pause_reason is not null then c.pause_reason
    when q.locked_at is not null then 'looking'
    when q.parcel_id is not null and q.attempts < q.max_attempts then 'queued'
    when c.next_check_at > now() then 'scheduled'
    when d.parcel_id is null then 'no_budget'
    when g.urgent_allowance = 0 or g.reason = 'not_before' then g.reason
    when g.reason = 'probe' and d.place > 1 then 'circuit_half_open'
    when d.place > d.allowance then 'no_budget'
    else 'due'
  end as reason,
  case
    when l.parcel_id is not null then l.lease_until
    when c.pause_reason is not null then null
    when q.parcel_id is not null and q.attempts < q.max_attempts then q.run_at
    when c.next_check_at > now() then c.next_check_at
    when d.parcel_id is null then bookpost_private.parcel_may_be_asked_at(c.api_code, c.day, c.day_calls)
    when g.urgent_allowance = 0 or g.reason = 'not_before' then g.until
    -- The next dispatch sends the probe.
    when g.reason = 'probe' and d.place > 1 then now() + interval '1 minute'
    when d.place > d.allowance and g.released_until is not null then g.released_until
    -- About: those before it go first, at the pace at which the allowance is used up evenly.
    when d.place > d.allowance then
      greatest(g.until, g.next_call_at) + g.pace * ((d.place - d.allowance) / g.batch_size)
    else c.next_check_at
  end as until,
  coalesce(o.person_after <= now() - coalesce(c.last_changed_at, p.created_at), false)
    or coalesce(c.pause_reason in ('quarantined', 'no_api'), false)
    or (p.status = 'pending' and exists (select from bookpost.tracking_events e where e.parcel_id = p.id)) as needs_person,
  c.last_outcome,
  c.last_error,
  c.last_looked_at
from bookpost.parcels p
join bookpost_private.checks c on c.parcel_id = p.id
left join bookpost_private.leases l on l.parcel_id = p.id
left join bookpost_private.queued_lookups() q on q.parcel_id = p.id
left join bookpost_private.lookup_outcomes o on o.outcome = c.last_outcome
left join gates g on g.code = c.api_code
left join (
  -- Those that wait for their turn, and how many may go before the next minute.
  select k.parcel_id,
    case when bookpost_private.is_urgent(k.next_check_at - k.head_start, now()) then t.urgent_allowance else t.allowance end as allowance,
    row_number() over (partition by k.api_code order by k.next_check_at - k.head_start, k.parcel_id) as place
  from bookpost_private.checks k join gates t on t.code = k.api_code
  where k.next_check_at <= now() and not (k.day = t.today and k.day_calls >= t.calls_per_parcel_per_day)
) d on d.parcel_id = p.id
left join lateral (
  select string_agg(b.title, ', ' order by b.title) as titles
  from bookpost.parcel_books pb join bookpost.books b on b.id = pb.book_id
  where pb.parcel_id = p.id and pb.stopped_at is null
) t on true
where p.closed_at is null;

comment on view bookpost_ops.why is
  'Why each live parcel is where it is: exactly one row each, with the reason and until when it holds. no_budget: calls are scarce and others go first, until about then. no_api and quarantined wait for a person, not_configured and parked for credentials; needs_person: so does this one, whatever it waits for.';

create view bookpost_ops.needs_person with (security_invoker = true) as
select
  case when c.pause_reason = 'quarantined' then 'quarantined' else c.last_outcome end as kind,
  c.api_code,
  p.id as parcel_id,
  p.carrier_code || ' ' || p.tracking_number as what,
  c.last_error as detail,
  coalesce(c.last_changed_at, p.created_at) as since
from bookpost_private.checks c
join bookpost.parcels p on p.id = c.parcel_id and p.closed_at is null
left join bookpost_private.lookup_outcomes o on o.outcome = c.last_outcome
where c.pause_reason = 'quarantined' or o.person_after <= now() - coalesce(c.last_changed_at, p.created_at)
union all
-- A parcel with scans is pending only where none of them counts (fold_status).
select 'earlier_life', c.api_code, p.id, p.carrier_code || ' ' || p.tracking_number,
  e.scans || ' scans, the last of ' || (e.last_at at time zone 'UTC')::date || ', are taken for an earlier parcel''s with this number', e.since
from bookpost.parcels p
join bookpost_private.checks c on c.parcel_id = p.id
cross join lateral (
  select count(*) as scans, max(t.sort_at) as last_at, min(t.first_seen_at) as since
  from bookpost.tracking_events t where t.parcel_id = p.id
) e
where p.closed_at is null and p.status = 'pending' and e.scans > 0
union all
-- 24 hours: no zone's clock is further ahead of UTC than 14. Such a scan counts as the newest until its time has come.
select 'future_scan', c.api_code, p.id, p.carrier_code || ' ' || p.tracking_number,
  'a scan (' || e.raw_code || ') has the time ' || e.raw_time, e.first_seen_at
from bookpost.tracking_events e
join bookpost.parcels p on p.id = e.parcel_id and p.closed_at is null
join bookpost_private.checks c on c.parcel_id = p.id
where e.sort_at > now() + interval '24 hours'
union all
select 'parked', b.api_code, null, b.api_code, b.parked_reason, b.parked_at
from bookpost_private.budgets b where b.parked_at is not null
union all
select 'dead_delivery', null, null, d.channel || ' message ' || d.id, d.reason || coalesce(': ' || d.last_error, ''), d.ended_at
from bookpost_private.deliveries d
where d.state = 'dead' and d.reason in ('failed', 'attempts_spent', 'too_old', 'refused') and d.ended_at > now() - interval '7 days'
union all
select 'webhook_disabled', null, null, 'webhook ' || e.id, e.disabled_reason, e.disabled_at
from bookpost.webhook_endpoints e where e.disabled_reason in ('gone', 'failing')
union all
-- Half an hour (chosen): longer than a restart of the other side takes.
select 'channel_in_trouble', null, null, r.route, r.failure_count || ' failures in a row: ' || r.last_error, r.last_failed_at
from bookpost_private.routes r
where r.failure_count >= 8;

comment on view bookpost_ops.needs_person is
  'What will not come right by itself: parcels set aside for a bug of ours, numbers that their carrier has not known for 30 days, numbers whose scans are all of an earlier parcel (the new one is not scanned yet, or it was sent earlier than we think: then track it again with sent_on), scans from the future, answers that make no sense, requests that were refused, APIs that refused our credentials; messages of the last week that could not be sent, webhooks that were disabled, mail servers and SMS providers that have failed eight times in a row.';

create view bookpost_ops.circuits with (security_invoker = true) as
select
  c.api_code,
  c.state,
  c.generation,
  c.consecutive_failures,
  c.open_until,
  c.is_forced,
  case when c.state = 'closed' and c.released_at + a.release_duration > now() then c.released_at + a.release_duration end as released_until,
  g.reason as held_by,
  g.until as held_until,
  b.parked_reason,
  case when b.day = (now() at time zone a.day_time_zone)::date then b.day_calls else 0 end as day_calls,
  a.calls_per_day,
  (select count(*) from bookpost_private.leases l where l.api_code = c.api_code)::integer as in_flight,
  (
    select count(*) from bookpost_private.checks k where k.api_code = c.api_code and k.next_check_at <= now()
  )::integer as due,
  t.reason as last_transition,
  t.occurred_at as last_transition_at
from bookpost.carrier_circuits c
join bookpost.carrier_apis a on a.code = c.api_code
join bookpost_private.budgets b on b.api_code = c.api_code
cross join lateral bookpost_private.gate(c.api_code) g
left join lateral (
  select x.reason, x.occurred_at from bookpost_private.circuit_transitions x
  where x.api_code = c.api_code order by x.id desc limit 1
) t on true;

comment on view bookpost_ops.circuits is
  'Each API''s circuit, what holds it back and until when, what it has used of its day, and how many parcels are due. released_until: after an outage, until when it is let through gradually.';

create view bookpost_ops.recent_lookups with (security_invoker = true) as
select k.finished_at, k.api_code, p.carrier_code, p.tracking_number, k.outcome, k.error_code, k.error_message,
  k.calls, k.finished_at - k.started_at as took, k.is_probe, k.generation, k.id as lookup_id, k.parcel_id
from bookpost_private.lookups k
left join bookpost.parcels p on p.id = k.parcel_id
order by k.finished_at desc
limit 200;

comment on view bookpost_ops.recent_lookups is 'The last 200 lookups, newest first.';

create view bookpost_ops.unmapped_codes with (security_invoker = true) as
select p.carrier_code, e.raw_code, count(*)::integer as scans, min(e.first_seen_at) as first_seen_at, max(e.first_seen_at) as last_seen_at,
  min(e.description) as description
from bookpost.tracking_events e
join bookpost.parcels p on p.id = e.parcel_id
where not e.is_code_listed
group by p.carrier_code, e.raw_code;

comment on view bookpost_ops.unmapped_codes is
  'Codes that carriers used and our tables do not know; they changed no status. A person adds them to the adapter.';

create view bookpost_ops.deliveries with (security_invoker = true) as
select d.id as delivery_id, d.created_at, d.channel, d.kind, d.state, d.reason, d.due_at, d.attempt_count, d.failure_count, d.attempted_at,
  d.ended_at, d.is_doubtful, d.last_error, d.provider_id, d.digest_id, d.user_id, u.app_user_id, d.endpoint_id, t.titles
from bookpost_private.deliveries d
left join bookpost.users u on u.id = d.user_id
left join lateral (
  select string_agg(distinct b.title, ', ' order by b.title) as titles
  from bookpost_private.delivery_items i
  join bookpost_private.deliveries o on o.id = i.delivery_id
  join bookpost.notifications n on n.id = i.notification_id
  join bookpost.books b on b.id = n.book_id
  where o.id = d.id or o.digest_id = d.id
) t on true;

comment on view bookpost_ops.deliveries is
  'Messages by email, text message and webhook, and what became of each: queued, sending, sent, folded (told in a digest), dropped (on purpose) or dead (could not be sent; retry_delivery brings it back). Addresses are not shown.';

create view bookpost_ops.channels with (security_invoker = true) as
select c.channel, c.is_configured,
  count(d.id) filter (where d.state in ('queued', 'sending'))::integer as waiting,
  min(d.due_at) filter (where d.state in ('queued', 'sending')) as oldest_due_at,
  count(d.id) filter (where d.state = 'sent' and d.ended_at > now() - interval '1 hour')::integer as sent_last_hour,
  count(d.id) filter (where d.state = 'dead')::integer as dead,
  h.not_before as held_until, h.last_error
from bookpost_private.channels c
left join bookpost_private.deliveries d on d.channel = c.channel
  and (d.state in ('queued', 'sending', 'dead') or (d.state = 'sent' and d.ended_at > now() - interval '1 hour'))
left join lateral (
  select r.not_before, r.last_error from bookpost_private.routes r
  where (r.route = c.channel or r.route like c.channel || ':%') and r.not_before > now()
  order by r.not_before desc limit 1
) h on true
group by c.channel, c.is_configured, h.not_before, h.last_error;

comment on view bookpost_ops.channels is
  'Email, text messages and webhooks at a glance: whether a worker can send, what waits, what was sent in the last hour, what is dead, and until when a channel in trouble is left alone.';

create view bookpost_ops.stuck with (security_invoker = true) as
select 'lease' as kind, l.lookup_id::text as id, 'lookup of parcel ' || l.parcel_id || ' by ' || l.worker_id as what, l.lease_until as since
from bookpost_private.leases l where l.lease_until < now() - interval '10 seconds'
union all
select 'probe', c.api_code, 'probe ' || c.probe_lookup_id, c.probe_until
from bookpost.carrier_circuits c where c.probe_until < now() - interval '10 seconds'
union all
select 'job', q.job_id::text, 'job of parcel ' || q.parcel_id || ' locked by ' || q.locked_by, q.locked_at
from bookpost_private.queued_lookups() q
where q.locked_at < now() - interval '10 seconds'
  and (
    q.locked_at < now() - interval '5 minutes'
    or not exists (select from bookpost_private.workers w where w.id = q.locked_by)
  )
union all
select 'dispatch', 'dispatch', 'no dispatch has run, though workers live', d.dispatched_at
from bookpost_private.dispatch_clock d
where d.dispatched_at not between now() - interval '3 minutes' and now() + interval '1 minute'
  and exists (select from bookpost_private.workers w where w.beat_at > now() - interval '5 seconds' and w.beating_since < now() - interval '3 minutes')
union all
-- 5 minutes: dispatch gives it a new job after one.
select 'delivery', d.id::text, d.channel || ' message is ' || d.state || ' beyond its time', d.due_at
from bookpost_private.deliveries d
join bookpost_private.channels c on c.channel = d.channel and c.is_configured
where d.state in ('queued', 'sending') and d.due_at < now() - interval '5 minutes'
  and coalesce(d.attempted_at < now() - interval '5 minutes', true)
  and not exists (select from bookpost_private.routes r where r.route = bookpost_private.route_of(d) and r.not_before > now() - interval '5 minutes')
union all
select 'parcel', p.id::text, p.carrier_code || ' ' || p.tracking_number || ' is live and has no row in checks', p.created_at
from bookpost.parcels p
where p.closed_at is null and not exists (select from bookpost_private.checks c where c.parcel_id = p.id);

comment on view bookpost_ops.stuck is 'What is busy beyond its time. Empty when all is well.';

grant select on all tables in schema bookpost_ops to bookpost_worker;

-- Functions are open to everyone until it is taken away; then each role gets what is its own.
revoke execute on all functions in schema bookpost, bookpost_private, bookpost_ops from public;
grant execute on all functions in schema bookpost, bookpost_private to bookpost_worker;
grant execute on function
  bookpost.current_user_id(), bookpost.normalize_tracking_number(text), bookpost.unsubscribe(uuid), bookpost.shared_parcel(text)
  to bookpost_visitor, bookpost_member, bookpost_operator;
grant execute on function
  bookpost.books_current_parcel(bookpost.books), bookpost.parcels_is_overdue(bookpost.parcels),
  bookpost.parcels_tracking_page(bookpost.parcels), bookpost.parcels_last_looked_at(bookpost.parcels),
  bookpost.parcels_next_look_at(bookpost.parcels), bookpost.parcels_did_last_look_work(bookpost.parcels),
  bookpost.tracking_events_is_of_earlier_life(bookpost.tracking_events),
  bookpost.share_parcel(uuid, interval), bookpost.revoke_tracking_link(uuid)
  to bookpost_member, bookpost_operator;
-- What people write through. Each of these asks first whether it is the caller's own (own_book, own_user).
grant execute on function
  bookpost.track_book(text, text, text, text, uuid, numeric, text, text, text, date),
  bookpost.correct_tracking_number(uuid, text, text), bookpost.refresh_book(uuid), bookpost.stop_tracking(uuid),
  bookpost.mark_book(uuid, text, text),
  bookpost.mark_notifications_read(uuid[], timestamptz, uuid), bookpost.users_unread_notification_count(bookpost.users),
  bookpost.set_contact(uuid, jsonb), bookpost.set_notification_preferences(uuid, jsonb),
  bookpost.opt_in(uuid, text), bookpost.opt_out(uuid, text),
  bookpost.request_phone_verification(uuid), bookpost.verify_phone_number(uuid, text)
  to bookpost_member, bookpost_operator;
grant execute on function
  bookpost.changes_since(text, integer), bookpost.latest_cursor(), bookpost.history_id(), bookpost.present_snapshot(xid8),
  bookpost.pruned_through(), bookpost.told_through(), bookpost.encode_cursor(text[])
  to bookpost_member, bookpost_operator;
