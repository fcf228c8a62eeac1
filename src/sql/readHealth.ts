import type { Queryable } from "../db/withTransaction.ts";

export interface Health {
  /** Milliseconds since 1970 by the database's clock. */
  readonly clockMs: number;
  readonly workers: readonly {
    readonly id: string;
    readonly hostName: string;
    readonly processId: number;
    readonly ageMs: number;
    readonly silentMs: number;
    /** How far its clock is ahead of the database's; null: not measured yet. */
    readonly clockAheadMs: number | null;
    readonly apis: readonly string[];
  }[];
  /** The parcel that has waited longest though its API may be asked; null: none is due. */
  readonly longestOverdueMs: number | null;
  /** Live parcels whose API no living worker has credentials for, by API. */
  readonly notConfigured: readonly { readonly apiCode: string; readonly parcels: number }[];
  /** APIs whose calls are scarce: how many parcels are due, and for how long the longest. */
  readonly scarce: readonly {
    readonly apiCode: string;
    readonly parcels: number;
    readonly longestMs: number;
  }[];
  readonly quarantined: number;
  /** The transaction that is open longest, of those that this login may see; null: none. */
  readonly oldestTransaction: {
    readonly processId: number;
    readonly login: string;
    readonly application: string;
    readonly ageMs: number;
  } | null;
  /** Parcels that a person should look at, by what is wrong; those set aside are counted above. */
  readonly needsPerson: readonly { readonly kind: string; readonly parcels: number }[];
  readonly stuck: readonly {
    readonly kind: string;
    readonly id: string;
    readonly what: string;
    readonly since: string;
  }[];
}

/** What `doctor` asks of the running system, as of one instant. */
export async function readHealth(db: Queryable): Promise<Health> {
  const { rows } = await db.query<Health>(
    `with gates as materialized (
      select a.code, g.allowance, g.urgent_allowance, g.reason, g.pace
      from bookpost.carrier_apis a cross join lateral bookpost_private.gate(a.code) g
    )
    select
      extract(epoch from clock_timestamp())::float8 * 1000 as "clockMs",
      (
        select coalesce(json_agg(json_build_object(
          'id', w.id, 'hostName', w.host_name, 'processId', w.process_id,
          'ageMs', extract(epoch from clock_timestamp() - w.started_at) * 1000,
          'silentMs', extract(epoch from clock_timestamp() - w.beat_at) * 1000,
          'clockAheadMs', extract(epoch from w.clock_ahead) * 1000,
          'apis', array(select jsonb_object_keys(w.api_fingerprints) order by 1)
        ) order by w.started_at, w.id), '[]')
        from bookpost_private.workers w
      ) as workers,
      (
        select extract(epoch from max(clock_timestamp() - d.due_at))::float8 * 1000
        from gates g
        cross join lateral (
          select c.next_check_at as due_at
          from bookpost_private.checks c
          where c.api_code = g.code and c.next_check_at <= clock_timestamp()
            and not exists (select from bookpost_private.leases l where l.parcel_id = c.parcel_id)
          order by c.next_check_at
          limit 1
        ) d
        -- Where calls are scarce waiting is the rule.
        where g.allowance > 0 and g.pace = interval '0'
      ) as "longestOverdueMs",
      (
        select coalesce(json_agg(json_build_object(
          'apiCode', g.code, 'parcels', n.parcels, 'longestMs', extract(epoch from clock_timestamp() - n.since) * 1000
        ) order by g.code), '[]')
        from gates g
        cross join lateral (
          select count(*) as parcels, min(c.next_check_at) as since
          from bookpost_private.checks c
          where c.api_code = g.code and c.next_check_at <= clock_timestamp()
            and not exists (select from bookpost_private.leases l where l.parcel_id = c.parcel_id)
        ) n
        where g.pace > interval '0' and n.parcels > greatest(1, g.urgent_allowance)
      ) as scarce,
      (
        select coalesce(json_agg(json_build_object('kind', k.kind, 'parcels', k.parcels) order by k.kind), '[]')
        from (
          select p.kind, count(*)::integer as parcels from bookpost_ops.needs_person p
          where p.parcel_id is not null and p.kind <> 'quarantined' group by p.kind
        ) k
      ) as "needsPerson",
      (
        select coalesce(json_agg(json_build_object('apiCode', g.code, 'parcels', n.parcels) order by g.code), '[]')
        from gates g
        cross join lateral (
          select count(*) as parcels from bookpost_private.checks c where c.api_code = g.code and c.next_check_at is not null
        ) n
        where g.reason = 'not_configured' and n.parcels > 0
      ) as "notConfigured",
      (select count(*)::integer from bookpost_private.checks c where c.pause_reason = 'quarantined') as quarantined,
      (
        -- Of other logins' sessions only a member of pg_read_all_stats sees how old their transactions are.
        select json_build_object(
          'processId', a.pid, 'login', a.usename, 'application', a.application_name,
          'ageMs', extract(epoch from clock_timestamp() - a.xact_start) * 1000
        )
        from pg_stat_activity a
        where a.datname = current_database() and a.backend_type = 'client backend'
          and a.xact_start is not null and a.pid <> pg_backend_pid()
        order by a.xact_start
        limit 1
      ) as "oldestTransaction",
      (
        select coalesce(json_agg(json_build_object('kind', s.kind, 'id', s.id, 'what', s.what, 'since', s.since)), '[]')
        from bookpost_ops.stuck s
      ) as stuck`,
  );
  return rows[0] as Health;
}
