import type { Queryable } from "../db/withTransaction.ts";

export interface WorkerBeat {
  readonly workerId: string;
  readonly hostName: string;
  readonly processId: number;
  /** API code → fingerprint of the credentials this worker has for it. */
  readonly apiFingerprints: Readonly<Record<string, string>>;
  /** How far its wall clock is ahead of the database's, in milliseconds; left out: not known yet. */
  readonly clockAheadMs?: number | null;
}

/** Says that a worker is alive: `bookpost_private.beat`. Returns the database's clock in milliseconds since 1970. Commits. */
export async function beat(db: Queryable, worker: WorkerBeat): Promise<number> {
  const { rows } = await db.query<{ clockMs: number }>(
    `select extract(epoch from bookpost_private.beat(
       $1, $2, $3, $4, make_interval(secs => $5::double precision / 1000)
     ))::double precision * 1000 as "clockMs"`,
    [
      worker.workerId,
      worker.hostName,
      worker.processId,
      JSON.stringify(worker.apiFingerprints),
      worker.clockAheadMs ?? null,
    ],
  );
  return rows[0]?.clockMs ?? Number.NaN;
}
