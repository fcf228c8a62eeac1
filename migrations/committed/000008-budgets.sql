--! Previous: sha1:c917bdadc8d2700967d24b0fb1a9cbaf9bd95e69
--! Hash: sha1:e264a17d0f01884f4b9182bec9c008d7be07b678
--! Message: budgets

-- What each API allows, what is left of it, and whether it may be asked now.

-- The distance between two calls of an API that limits its rate. The window is stretched by a tenth, at most
-- half a second, and a permit must be used within that slack: so a late caller never makes two calls too close.
create function bookpost_private.call_slack(call_window interval) returns interval
language sql immutable strict parallel safe
return least(call_window / 10, interval '500 milliseconds');

-- How many lookups of an API may go out in the coming minute, and why not more.
create function bookpost_private.gate(api_code text)
returns table (allowance integer, reason text, until timestamptz, spacing interval, next_call_at timestamptz, batch_size integer)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_api bookpost.carrier_apis;
  v_circuit bookpost.carrier_circuits;
  v_budget bookpost_private.budgets;
  v_now timestamptz := clock_timestamp();
  v_day_start timestamp;
begin
  select * into strict v_api from bookpost.carrier_apis a where a.code = gate.api_code;
  select * into strict v_circuit from bookpost.carrier_circuits c where c.api_code = gate.api_code;
  select * into strict v_budget from bookpost_private.budgets b where b.api_code = gate.api_code;

  spacing := coalesce((v_api.call_window + bookpost_private.call_slack(v_api.call_window)) / v_api.calls_per_window, interval '0');
  next_call_at := greatest(v_now, v_budget.next_call_at);
  batch_size := v_api.batch_size;
  allowance := 0;
  v_day_start := date_trunc('day', v_now at time zone v_api.day_time_zone);

  if v_budget.parked_at is not null then
    reason := 'parked';
  elsif v_budget.not_before > v_now then
    reason := 'not_before';
    until := v_budget.not_before;
  elsif v_circuit.state = 'open' and v_circuit.open_until > v_now then
    reason := 'circuit_open';
    until := v_circuit.open_until;
  elsif v_circuit.state = 'half_open' and v_circuit.probe_until > v_now then
    reason := 'circuit_half_open';
    until := v_circuit.probe_until;
  elsif v_api.calls_per_day is not null and v_budget.day = v_day_start::date and v_budget.day_calls >= v_api.calls_per_day then
    reason := 'no_budget';
    until := (v_day_start + interval '1 day') at time zone v_api.day_time_zone;
  -- Last of the refusals: a worker that asks for permits has credentials, and may pass this one only.
  elsif not exists (
    select from bookpost_private.workers w
    where w.api_fingerprints ? gate.api_code
      -- Who has only the credentials that were refused last can ask nothing.
      and w.api_fingerprints ->> gate.api_code is distinct from v_budget.parked_fingerprint
  ) then
    reason := 'not_configured';
  elsif v_circuit.state <> 'closed' then
    allowance := 1;
    reason := 'probe';
  else
    allowance := least(
      -- A tick's work at most; the next tick is a minute away.
      100000,
      (v_api.calls_per_day - case when v_budget.day = v_day_start::date then v_budget.day_calls else 0 end) * batch_size,
      case when spacing > '0' then
        greatest(1, floor(extract(epoch from interval '1 minute') / extract(epoch from spacing))::integer) * batch_size
      end
    );
  end if;
  return next;
end;
$$;

comment on function bookpost_private.gate(text) is
  'How many lookups of an API may be dispatched for the coming minute; 0 with the reason and its end, 1 with reason probe when a cooldown has passed.';
