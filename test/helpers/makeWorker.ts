import type { Queryable } from "../../src/db/withTransaction.ts";

/** A worker without credentials, whose last beat is `silentFor` ago ("5 seconds") and whose first `beatingFor` ago. */
export async function makeWorker(
  db: Queryable,
  id: string,
  times: { readonly silentFor?: string; readonly beatingFor?: string } = {},
): Promise<void> {
  const { silentFor = "0", beatingFor = "1 minute" } = times;
  await db.query(
    `insert into bookpost_private.workers (id, host_name, process_id, started_at, beating_since, beat_at)
     select $1, 'test', 0, n.since, n.since, clock_timestamp() - $2::interval
     from (select clock_timestamp() - $3::interval as since) n
     on conflict (id) do update set beating_since = excluded.beating_since, beat_at = excluded.beat_at`,
    [id, silentFor, beatingFor],
  );
}

/** The ids of all workers that are thought alive, in order. */
export async function workerIds(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    "select id from bookpost_private.workers order by id",
  );
  return rows.map(({ id }) => id);
}
