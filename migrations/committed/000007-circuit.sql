--! Previous: sha1:d8a5097e469272b924836f23c32f512053fc2892
--! Hash: sha1:73e2d37ee54fc2e56b3e810ce6e4c5753274f6d7
--! Message: circuit

-- The circuit breaker. Its states and moves are told once, in migrations/README.md.
-- Every function here is called with the API's budget row locked or locks the
-- circuit itself, and each move is one statement that raises the generation.

create function bookpost_private.move_circuit(
  api_code text,
  to_state text,
  reason text,
  lookup_ids uuid[] default '{}',
  open_for interval default null,
  cooldown interval default null,
  probe_lookup_id uuid default null,
  probe_for interval default null,
  forced_until timestamptz default null,
  author text default null
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function bookpost_private.move_circuit(text, text, text, uuid[], interval, interval, uuid, interval, timestamptz, text) is
  'The one place that changes a circuit''s state: raises the generation and logs why. Returns the new generation. Does not commit.';

-- Takes the right to the one probe of a cooled-down circuit.
create function bookpost_private.claim_probe(api_code text, lookup_id uuid) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function bookpost_private.claim_probe(text, uuid) is
  'The new generation if this lookup is the probe; null if the circuit is not ready for one or another lookup has it. Does not commit.';

-- The probe ended without a verdict (slowed down, refused, interrupted): open again, and the next probe may go at once.
create function bookpost_private.release_probe(api_code text, lookup_id uuid, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

-- Tells a circuit how lookups ended, in the order in which they finished. They are in the ledger already.
create function bookpost_private.report_to_circuit(
  api_code text, lookup_ids uuid[], generations integer[], effects text[], reasons text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function bookpost_private.report_to_circuit(text, uuid[], integer[], text[], text[]) is
  'Counts successes and failures (effects: success, failure, none) in finishing order and opens or closes the circuit: open after failure_threshold failed requests in a row that hit at least two parcels (one, where no other is live). Reports of an older generation are ignored. The lookups must be in the ledger. Does not commit.';

-- The parcel whose failure was the last: the worst of probes.
create function bookpost_private.last_failed_parcel(api_code text) returns uuid
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select k.parcel_id
  from bookpost.carrier_circuits c
  join bookpost_private.lookups k on k.id = c.failed_lookup_ids[cardinality(c.failed_lookup_ids)]
  where c.api_code = last_failed_parcel.api_code
  limit 1;
end;

-- By hand: hold a circuit open or closed for a while, or give it back to its own judgement.
create function bookpost_private.force_circuit(
  api_code text, to_state text, author text, reason text, hold_for interval default '1 hour'
) returns bookpost.carrier_circuits
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;

comment on function bookpost_private.force_circuit(text, text, text, text, interval) is
  'Holds a circuit open or closed for hold_for, or resets it (closed, not parked, no waiting). Logged with author and reason. Raises BP404 for an unknown API, BP400 for anything else that makes no sense.';

-- A hold that has run out ends by itself: forced closed simply goes on as closed,
-- forced open as an ordinary open circuit whose time has come. Called by sweep.
create function bookpost_private.end_expired_holds() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
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
$$;
