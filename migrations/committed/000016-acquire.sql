--! Previous: sha1:93ed33afb931f842035086bc1130d268149766ac
--! Hash: sha1:c59ecf7e42880c0f1df226f174e7c19064c13726
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
$$;

comment on function bookpost_private.acquire_lookups(uuid[], text) is
  'For each parcel a permit (with the lookup''s id, when to call and within how long, and the batch: those with one batch_id share one request) or a verdict: busy, gone, not_due, closed, no_api, quarantined, circuit_open, circuit_half_open, not_before, no_budget, parked; retry_at says until when. A refused parcel is not written. A permit pays for one request. Does not commit; commit before calling the carrier.';

-- A permit that had to wait: may it still be used? What has happened meanwhile (the circuit opened, the carrier asked us to
-- wait, the lease was taken away) is looked at, not locked.
create function bookpost_private.confirm_lookups(lookup_ids uuid[]) returns table (lookup_id uuid, refusal text, retry_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select i.id,
    case
      when l.lookup_id is null then 'gone'
      when c.state = 'half_open' and c.probe_lookup_id = l.lookup_id then nullif(h.reason, 'circuit_half_open')
      when h.reason is not null then h.reason
      when c.generation <> l.generation then 'circuit_open'
    end,
    h.until
  from unnest(confirm_lookups.lookup_ids) i (id)
  left join bookpost_private.leases l on l.lookup_id = i.id
  left join bookpost.carrier_circuits c on c.api_code = l.api_code
  left join lateral bookpost_private.hold(l.api_code) h on true;
end;

comment on function bookpost_private.confirm_lookups(uuid[]) is
  'For permits that were not used at once: null where the request may still go out, otherwise why not (gone: the lease is no longer held) and until when.';

-- A permit pays for one request. Whoever needs another (a token, a lookup once more with a new one, a registration) pays
-- for it first.
create function bookpost_private.pay_call(lookup_id uuid, kind text)
returns table (refusal text, retry_at timestamptz, wait_ms integer, use_within_ms integer)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function bookpost_private.pay_call(uuid, text) is
  'Pays for one more request of a lookup under way (kind: lookup, token, register), and prolongs the leases of its batch: when to send it and within how long; or a refusal (gone, no_budget, or what holds the API back) and until when. Does not commit; commit before sending it.';

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
$$;

comment on function bookpost_private.release_lookups(uuid[], text) is
  'Gives back permits under which no request went out. Returns how many were still held. Does not commit.';
