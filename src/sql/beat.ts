import type { Queryable } from "../db/withTransaction.ts";

export interface WorkerBeat {
  readonly workerId: string;
  readonly hostName: string;
  readonly processId: number;
  /** API code → fingerprint of the credentials this worker has for it. */
  readonly apiFingerprints: Readonly<Record<string, string>>;
}

/** Says that a worker is alive: `bookpost_private.beat`. Commits. */
export async function beat(db: Queryable, worker: WorkerBeat): Promise<void> {
  await db.query("select bookpost_private.beat($1, $2, $3, $4)", [
    worker.workerId,
    worker.hostName,
    worker.processId,
    JSON.stringify(worker.apiFingerprints),
  ]);
}
