import type { Queryable } from "../db/withTransaction.ts";

/** A new secret for an endpoint, given this once: `bookpost.rotate_webhook_secret`. Raises BP400 and BP404. */
export async function rotateWebhookSecret(
  db: Queryable,
  endpointId: string,
  overlap: string,
): Promise<string> {
  const { rows } = await db.query<{ secret: string }>(
    "select bookpost.rotate_webhook_secret($1::uuid, $2::interval) as secret",
    [endpointId, overlap],
  );
  return rows[0]?.secret ?? "";
}
