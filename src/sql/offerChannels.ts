import type { Queryable } from "../db/withTransaction.ts";

/** Says by which channels this worker can send: `bookpost_private.offer_channels`. Commits. */
export async function offerChannels(
  db: Queryable,
  workerId: string,
  channels: readonly string[],
): Promise<void> {
  await db.query("select bookpost_private.offer_channels($1, $2)", [workerId, channels]);
}
