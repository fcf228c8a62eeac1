import pg from "pg";
import { createTestDatabase, type TestDatabase } from "../../helpers/database.ts";
import { lateInTheDay, makeApi } from "../../helpers/makeApi.ts";
import { dueParcels } from "../../helpers/permits.ts";
import { COOLDOWN, DAY, LEASE, MAX_COOLDOWN, type Settings, type World } from "./world.ts";

export const PARCELS = 4;
export const WORKERS = ["a", "b"] as const;
const CONNECTIONS = 4;

/** One database in which one history runs at a time, over several connections. `sweep` and `dispatch` look at a whole database. */
export interface Lane {
  readonly db: TestDatabase;
  readonly clients: readonly pg.Client[];
  readonly apiCode: string;
  /** In the order of their ids. */
  readonly parcelIds: readonly string[];
  close(): Promise<void>;
}

/** What the database holds; the rest of it is only compared with what the model expects. */
export interface Facts {
  readonly circuit: { readonly state: string; readonly generation: number };
  readonly moves: readonly number[];
  readonly budget: { readonly calls: number };
  readonly leases: readonly {
    readonly batch: string;
    readonly generation: number;
    readonly isProbe: boolean;
  }[];
}

/** What the database says of everything that the model speaks of. */
export interface Seen {
  readonly facts: Facts;
  /** When each parcel is due, which decides whose turn it is. Jittered, so taken over from the database. */
  readonly dueAt: readonly number[];
}

// Each history begins with one statement and is looked at with one. Minutes are rounded: what a test takes is less than one.
const HELPERS = (api: string) => `
  create schema model;

  create function model.reset(
    batch_size integer, threshold integer, calls_per_day integer, calls_per_parcel integer, in_flight integer, live integer,
    time_zone text, parcel_ids uuid[]
  ) returns void language plpgsql as $$
  begin
    delete from bookpost_private.leases;
    delete from bookpost_private.lookups k where k.parcel_id = any (reset.parcel_ids);
    delete from bookpost_private.circuit_transitions;
    update bookpost.carrier_apis a set
      batch_size = reset.batch_size, failure_threshold = reset.threshold, calls_per_day = reset.calls_per_day,
      calls_per_parcel_per_day = reset.calls_per_parcel, calls_in_flight = reset.in_flight, day_time_zone = reset.time_zone;
    update bookpost.carrier_circuits set
      state = 'closed', generation = 1, consecutive_failures = 0, failed_lookup_ids = '{}', opened_at = null, open_until = null,
      cooldown = null, probe_lookup_id = null, probe_until = null, is_forced = false, forced_until = null, released_at = null;
    update bookpost_private.budgets set
      next_release_at = '-infinity', day = '-infinity', day_calls = 0, not_before = null, not_before_reason = null,
      parked_at = null, parked_reason = null, parked_fingerprint = null;
    update bookpost_private.checks c set
      next_check_at = case when p.place <= reset.live then timestamptz '2000-01-01 00:00Z' + p.place * interval '1 second' end,
      pause_reason = case when p.place > reset.live then 'closed' end,
      digest = null, unchanged_count = 0, failure_count = 0, crash_count = 0, head_start = '0', day = '-infinity', day_calls = 0
    from unnest(reset.parcel_ids) with ordinality p (id, place) where c.parcel_id = p.id;
    perform model.revive(array[0, 1]);
    update bookpost_private.workers set stale_results = 0;
    perform model.empty_queue();
  end $$;

  -- Alive, and for long enough to judge others; no history takes the five seconds after which they would not be. The
  -- fingerprint is a number.
  create function model.revive(fingerprints integer[]) returns void language sql as $$
    insert into bookpost_private.workers as w (id, host_name, process_id, beating_since, api_fingerprints)
    select n.id, 'test', 1, '-infinity', jsonb_build_object('${api}', n.fingerprint)
    from unnest(array['a', 'b'], fingerprints) n (id, fingerprint)
    on conflict (id) do update set beat_at = clock_timestamp(), api_fingerprints = excluded.api_fingerprints
  $$;

  -- Setting aside after crashes is not in the model; it has tests of its own.
  create or replace function bookpost_private.crashes_tolerated() returns integer language sql immutable parallel safe return 1000000;

  create function model.empty_queue() returns void language plpgsql as $$
  begin
    if exists (select from graphile_worker.jobs) then
      perform graphile_worker.complete_jobs(array(select j.id from graphile_worker.jobs j));
    end if;
  end $$;

  -- So much has passed for the circuit, the budget and the leases together; only a whole day moves the date.
  create function model.age(by interval, days integer) returns void language sql as $$
    update bookpost.carrier_circuits set
      opened_at = opened_at - by, open_until = open_until - by, probe_until = probe_until - by, forced_until = forced_until - by,
      released_at = released_at - by;
    update bookpost_private.budgets set not_before = not_before - by, day = day - days;
    update bookpost_private.checks set day = day - days;
    update bookpost_private.leases set
      started_at = started_at - by, call_at = call_at - by, lease_until = lease_until - by;
  $$;

  create function model.minutes_until(at timestamptz) returns integer language sql
  return round(extract(epoch from at - clock_timestamp()) / 60)::integer;

  create function model.see(parcel_ids uuid[]) returns jsonb language sql as $$
    select jsonb_build_object(
      'dueAt', (
        select jsonb_agg(coalesce(extract(epoch from c.next_check_at), 0) order by c.parcel_id) from bookpost_private.checks c
      ),
      'facts', jsonb_build_object(
        'circuit', jsonb_build_object(
          'state', k.state, 'generation', k.generation, 'failures', k.consecutive_failures, 'failed', k.failed_lookup_ids,
          'openIn', model.minutes_until(k.open_until), 'cooldown', extract(epoch from k.cooldown)::integer / 60,
          'probe', k.probe_lookup_id, 'probeIn', model.minutes_until(k.probe_until),
          'forcedFor', model.minutes_until(k.forced_until)
        ),
        'moves', (select coalesce(jsonb_agg(t.generation order by t.id), '[]') from bookpost_private.circuit_transitions t),
        'budget', jsonb_build_object(
          'isToday', b.day = d.day, 'calls', b.day_calls, 'notBefore', model.minutes_until(b.not_before),
          'isParked', b.parked_at is not null, 'refused', b.parked_fingerprint::integer
        ),
        'parcels', (
          select jsonb_agg(jsonb_build_object(
            'isDue', coalesce(c.next_check_at <= clock_timestamp(), false), 'failures', c.failure_count,
            'isToday', c.day = d.day, 'calls', c.day_calls
          ) order by c.parcel_id)
          from bookpost_private.checks c
        ),
        'leases', (
          select coalesce(jsonb_agg(jsonb_build_object(
            'parcel', array_position(parcel_ids, l.parcel_id) - 1, 'lookup', l.lookup_id, 'batch', l.batch_id,
            'generation', l.generation, 'isProbe', l.is_probe, 'worker', ascii(l.worker_id) - ascii('a'),
            'calls', l.calls, 'endsIn', model.minutes_until(l.lease_until)
          ) order by l.parcel_id), '[]')
          from bookpost_private.leases l
        ),
        'stale', (select jsonb_agg(w.stale_results order by w.id) from bookpost_private.workers w)
      )
    )
    from bookpost.carrier_circuits k
    join bookpost_private.budgets b using (api_code)
    join bookpost.carrier_apis a on a.code = k.api_code
    cross join lateral bookpost_private.day_of(clock_timestamp(), a.day_time_zone) d
  $$;`;

/** Makes a database with one API, a few parcels and two workers. */
export async function openLane(): Promise<Lane> {
  const db = await createTestDatabase();
  // No other API: the model is of one, and what is not there costs no time.
  await db.pool.query(
    "update bookpost.carriers set api_code = null; delete from bookpost.carrier_apis",
  );
  const api = await makeApi(
    db.pool,
    {
      min_check_interval: "0",
      cooldown: `${COOLDOWN} minutes`,
      max_cooldown: `${MAX_COOLDOWN} minutes`,
      lease_duration: `${LEASE} minutes`,
    },
    { isConfigured: false },
  );
  const parcelIds = (await dueParcels(db.pool, api.code, PARCELS)).toSorted();
  await db.pool.query(HELPERS(api.code));
  const clients = Array.from(
    { length: CONNECTIONS },
    () => new pg.Client({ connectionString: db.url, options: "-c timezone=UTC" }),
  );
  await Promise.all(clients.map((client) => client.connect()));
  return {
    db,
    clients,
    apiCode: api.code,
    parcelIds,
    async close() {
      await Promise.all(clients.map((client) => client.end()));
      await db.drop();
    },
  };
}

export async function reset(lane: Lane, settings: Settings): Promise<void> {
  const { batchSize, threshold, callsPerDay, callsPerParcel, inFlight, live } = settings;
  await lane.clients[0]?.query({
    name: "reset",
    text: "select model.reset($1, $2, $3, $4, $5, $6, $7, $8)",
    values: [
      batchSize,
      threshold,
      callsPerDay,
      callsPerParcel,
      inFlight,
      live,
      // Anew each time: a long run must not reach midnight.
      lateInTheDay(),
      lane.parcelIds,
    ],
  });
}

/** The instant at which a parcel is made due, in seconds: long ago, and each after the one before it. */
const DUE_AT = Date.UTC(2000, 0, 1) / 1000 + 1;

/** These parcels are due, whatever was planned. */
export async function makeDue(lane: Lane, w: World, parcels: readonly number[]): Promise<void> {
  await lane.clients[0]?.query({
    name: "makeDue",
    text: `update bookpost_private.checks c set next_check_at = to_timestamp(n.due_at)
      from unnest($1::uuid[], $2::float8[]) n (id, due_at) where c.parcel_id = n.id`,
    values: [parcels.map((p) => lane.parcelIds[p]), parcels.map((p) => DUE_AT + p)],
  });
  for (const p of parcels) Object.assign(w.parcels[p] ?? {}, { isDue: true, dueAt: DUE_AT + p });
}

export async function see(lane: Lane, client: pg.Client): Promise<Seen> {
  const { rows } = await client.query<{ seen: Seen }>({
    name: "see",
    text: "select model.see($1) as seen",
    values: [lane.parcelIds],
  });
  if (!rows[0]) throw new Error("the API is gone");
  return rows[0].seen;
}

/** What `see` has to say where the database is in this state. */
export function expected(w: World): unknown {
  const { circuit, budget } = w;
  const today = Math.floor(w.now / DAY);
  const from = (at: number | null) => (at === null ? null : at - w.now);
  return {
    circuit: {
      state: circuit.state,
      generation: circuit.generation,
      failures: circuit.failures,
      failed: circuit.failed.map(({ lookup }) => lookup),
      openIn: from(circuit.openUntil),
      cooldown: circuit.cooldown,
      probe: circuit.probe,
      probeIn: from(circuit.probeUntil),
      forcedFor: from(circuit.forcedUntil),
    },
    // Every generation is logged, once.
    moves: Array.from({ length: circuit.generation - 1 }, (_, i) => i + 2),
    budget: {
      isToday: budget.day === today,
      calls: budget.calls,
      notBefore: from(budget.notBefore),
      isParked: budget.isParked,
      refused: budget.refused,
    },
    parcels: w.parcels.map(({ isDue, failures, day, calls }) => ({
      isDue,
      failures,
      isToday: day === today,
      calls,
    })),
    leases: w.leases
      .toSorted((a, b) => a.parcel - b.parcel)
      .map(({ parcel, lookup, batch, generation, isProbe, worker, calls, until }) => ({
        parcel,
        lookup,
        batch,
        generation,
        isProbe,
        worker,
        calls,
        endsIn: until - w.now,
      })),
    stale: w.workers.map(({ stale }) => stale),
  };
}
