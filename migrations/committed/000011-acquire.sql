--! Previous: sha1:844fdad277280a843c1c7afcfb7f4a2819d31380
--! Hash: sha1:f346a20b6d0cd1b32a6b83e2e24c7fe3f98e4577
--! Message: acquire

-- Permission to look up, and giving it back.

-- Asks for permission to look up some parcels. Answers one row for each id.
create function bookpost_private.acquire_lookups(parcel_ids uuid[], worker_id text)
returns table (
  parcel_id uuid, verdict text, retry_at timestamptz,
  lookup_id uuid, batch_id uuid, api_code text, carrier_code text, tracking_number text, is_probe boolean,
  wait_ms integer, use_within_ms integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_locked uuid[];
  v_ready uuid[];
  v_api bookpost.carrier_apis;
  v_budget bookpost_private.budgets;
  v_circuit bookpost.carrier_circuits;
  v_gate record;
  v_code text;
  v_now timestamptz;
  v_day date;
  v_grant integer;
  v_calls integer;
  v_generation integer;
  v_probe_id uuid;
  v_call_at timestamptz;
  v_in_flight integer;
  v_batch_id uuid;
  v_room integer;
  v_refusal text;
  v_until timestamptz;
  -- Chosen: a permit may lie this far in the future; longer and the job would hold its slot for nothing.
  v_horizon constant interval := '5 seconds';
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
    select * into strict v_gate from bookpost_private.gate(v_code) g;
    select array_agg(k.parcel_id order by v_circuit.state <> 'closed' and k.failure_count > 0, k.next_check_at, k.parcel_id) into v_ready
    from bookpost_private.checks k where k.parcel_id = any (v_locked) and k.api_code = v_code;
    select count(distinct l.batch_id) into v_in_flight from bookpost_private.leases l where l.api_code = v_code;
    v_batch_id := null;
    v_room := 0;

    v_day := (v_now at time zone v_api.day_time_zone)::date;
    if v_budget.day <> v_day then
      v_budget.day := v_day;
      v_budget.day_calls := 0;
    end if;
    v_grant := 0;
    v_calls := 0;
    v_generation := v_circuit.generation;
    v_probe_id := null;
    v_refusal := null;
    -- A worker that asks has credentials; that its first beat is not in yet must not stop it.
    if v_gate.allowance = 0 and v_gate.reason <> 'not_configured' then
      v_refusal := v_gate.reason;
      v_until := v_gate.until;
    -- Another worker's credentials ended the parking; this one still has those that were refused.
    elsif v_budget.parked_fingerprint = (
      select w.api_fingerprints ->> v_code from bookpost_private.workers w where w.id = acquire_lookups.worker_id
    ) then
      v_refusal := 'parked';
      v_until := null;
    end if;

    for i in 1 .. array_length(v_ready, 1) loop
      parcel_id := v_ready[i];
      api_code := v_code;
      lookup_id := null;
      batch_id := null;
      carrier_code := null;
      tracking_number := null;
      is_probe := false;
      wait_ms := null;
      use_within_ms := null;
      -- One that shares the request before it costs nothing more.
      if v_room = 0 then
        v_call_at := greatest(v_now, v_budget.next_call_at);
      end if;

      if v_refusal is null and v_probe_id is not null and v_grant = 1 then
        v_refusal := 'circuit_half_open';
        v_until := v_now + v_api.lease_duration;
      elsif v_refusal is null and v_room = 0 and v_in_flight + v_calls >= v_api.calls_in_flight then
        v_refusal := 'no_budget';
        -- Someone will have come back by then.
        v_until := v_now + interval '1 second';
      elsif v_refusal is null and v_room = 0 and v_budget.day_calls >= v_api.calls_per_day then
        v_refusal := 'no_budget';
        v_until := ((v_day + 1)::timestamp) at time zone v_api.day_time_zone;
      elsif v_refusal is null and v_room = 0 and v_call_at > v_now + v_horizon then
        v_refusal := 'no_budget';
        v_until := v_call_at;
      end if;

      -- Only now, when nothing else stands in the way: the one probe.
      if v_refusal is null and v_circuit.state <> 'closed' then
        v_probe_id := gen_random_uuid();
        v_generation := bookpost_private.claim_probe(v_code, v_probe_id);
        if v_generation is null then
          v_probe_id := null;
          v_refusal := 'circuit_half_open';
          v_until := v_now + v_api.lease_duration;
        end if;
      end if;

      if v_refusal is not null then
        verdict := v_refusal;
        retry_at := v_until;
        return next;
        -- Later ones queue up behind, at the API's pace.
        if v_refusal = 'no_budget' and v_gate.spacing > '0' then
          v_until := v_until + v_gate.spacing;
        end if;
        continue;
      end if;

      verdict := 'permit';
      retry_at := null;
      is_probe := v_probe_id is not null;
      lookup_id := coalesce(v_probe_id, gen_random_uuid());
      select p.carrier_code, p.tracking_number into carrier_code, tracking_number
      from bookpost.parcels p where p.id = v_ready[i];
      if v_room = 0 then
        v_batch_id := gen_random_uuid();
        v_room := v_api.batch_size;
        v_calls := v_calls + 1;
        v_budget.day_calls := v_budget.day_calls + 1;
        if v_gate.spacing > '0' then
          v_budget.next_call_at := v_call_at + v_gate.spacing;
        end if;
      end if;
      v_room := v_room - 1;
      batch_id := v_batch_id;
      insert into bookpost_private.leases
        (parcel_id, lookup_id, batch_id, api_code, generation, is_probe, worker_id, started_at, lease_until)
      values (
        v_ready[i], lookup_id, v_batch_id, v_code, v_generation, is_probe, acquire_lookups.worker_id,
        v_now, v_call_at + v_api.lease_duration
      );
      wait_ms := greatest(0, ceil(extract(epoch from v_call_at - v_now) * 1000))::integer;
      use_within_ms := (extract(epoch from coalesce(bookpost_private.call_slack(v_api.call_window), v_api.lease_duration / 2)) * 1000)::integer;
      v_grant := v_grant + 1;
      return next;
    end loop;

    if v_grant > 0 then
      update bookpost_private.budgets b
      set day = v_budget.day, day_calls = v_budget.day_calls, next_call_at = v_budget.next_call_at
      where b.api_code = v_code;
    end if;
  end loop;
end;
$$;

comment on function bookpost_private.acquire_lookups(uuid[], text) is
  'For each parcel a permit (with the lookup''s id, when to call and within how long, and the batch: those with one batch_id share one request) or a verdict: busy, gone, not_due, closed, no_api, quarantined, circuit_open, circuit_half_open, not_before, no_budget, parked; retry_at says until when. A refused parcel is not written. Does not commit; commit before calling the carrier.';

-- A permit that was not used goes back: the parcel stays due, the day's count is given back.
create function bookpost_private.release_lookups(lookup_ids uuid[], reason text) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
    select l.api_code, (l.started_at at time zone a.day_time_zone)::date as day, count(*) as released
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
$$;

comment on function bookpost_private.release_lookups(uuid[], text) is
  'Gives back permits under which no request went out. Returns how many were still held. Does not commit.';
