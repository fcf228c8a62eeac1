import type { Queryable } from "../db/withTransaction.ts";

export interface AddedWebhook {
  readonly id: string;
  /** Shown this once. */
  readonly secret: string;
}

/** Registers an endpoint: `bookpost.add_webhook`. `userId` null: everyone's news. Raises BP400 and BP404. */
export async function addWebhook(
  db: Queryable,
  webhook: {
    readonly url: string;
    readonly userId: string | null;
    readonly description: string | null;
  },
): Promise<AddedWebhook> {
  const { rows } = await db.query<AddedWebhook>(
    `select endpoint_id as id, secret from bookpost.add_webhook(url => $1, person => $2::uuid, description => $3)`,
    [webhook.url, webhook.userId, webhook.description],
  );
  return rows[0] as AddedWebhook;
}
