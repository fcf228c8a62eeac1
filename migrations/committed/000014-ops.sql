--! Previous: sha1:aed62fb26b69879b0c9733858b1ca825fe670b03
--! Hash: sha1:d1694418f50d32563d371696fe551e6ce38c0b42
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
    when g.allowance = 0 then g.reason
    else 'due'
  end as reason,
  case
    when l.parcel_id is not null then l.lease_until
    when c.pause_reason is not null then null
    when q.parcel_id is not null and q.attempts < q.max_attempts then q.run_at
    when c.next_check_at > now() then c.next_check_at
    when g.allowance = 0 then g.until
    else c.next_check_at
  end as until,
  c.last_outcome,
  c.last_error,
  c.last_looked_at
from bookpost.parcels p
join bookpost_private.checks c on c.parcel_id = p.id
left join bookpost_private.leases l on l.parcel_id = p.id
left join bookpost_private.queued_lookups() q on q.parcel_id = p.id
left join (
  select a.code, x.allowance, x.reason, x.until
  from bookpost.carrier_apis a cross join lateral bookpost_private.gate(a.code) x
) g on g.code = c.api_code
left join lateral (
  select string_agg(b.title, ', ' order by b.title) as titles
  from bookpost.parcel_books pb join bookpost.books b on b.id = pb.book_id
  where pb.parcel_id = p.id and pb.stopped_at is null
) t on true
where p.closed_at is null;

comment on view bookpost_ops.why is
  'Why each live parcel is where it is: exactly one row each, with the reason and until when it holds. no_api and quarantined wait for a person, not_configured and parked for credentials.';

create view bookpost_ops.circuits with (security_invoker = true) as
select
  c.api_code,
  c.state,
  c.generation,
  c.consecutive_failures,
  c.open_until,
  c.is_forced,
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
  'Each API''s circuit, what holds it back and until when, what it has used of its day, and how many parcels are due.';

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
select 'parcel', p.id::text, p.carrier_code || ' ' || p.tracking_number || ' is live and has no row in checks', p.created_at
from bookpost.parcels p
where p.closed_at is null and not exists (select from bookpost_private.checks c where c.parcel_id = p.id);

comment on view bookpost_ops.stuck is 'What is busy beyond its time. Empty when all is well.';

grant select on all tables in schema bookpost_ops to bookpost_worker;

-- Functions are open to everyone until it is taken away; then each role gets what is its own.
revoke execute on all functions in schema bookpost, bookpost_private, bookpost_ops from public;
grant execute on all functions in schema bookpost, bookpost_private to bookpost_worker;
grant execute on function
  bookpost.current_user_id(), bookpost.normalize_tracking_number(text)
  to bookpost_visitor, bookpost_member, bookpost_operator;
grant execute on function
  bookpost.parcels_tracking_page(bookpost.parcels), bookpost.parcels_last_looked_at(bookpost.parcels),
  bookpost.parcels_next_look_at(bookpost.parcels), bookpost.parcels_did_last_look_work(bookpost.parcels)
  to bookpost_member, bookpost_operator;
