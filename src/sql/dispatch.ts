import type { Queryable } from "../db/withTransaction.ts";

export interface DispatchedApi {
  readonly apiCode: string;
  /** Why it was held back; null where it was not. */
  readonly reason: string | null;
  readonly dispatched: number;
}

/** Queues a job for each due parcel: `bookpost_private.dispatch`. Nothing comes back when one runs and another waits already. Commits. */
export async function dispatch(db: Queryable): Promise<DispatchedApi[]> {
  const { rows } = await db.query<DispatchedApi>(
    'select api_code as "apiCode", reason, dispatched from bookpost_private.dispatch()',
  );
  return rows;
}
