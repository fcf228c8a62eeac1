import type { Queryable } from "../db/withTransaction.ts";

/** Sends to an endpoint again, or no more: `bookpost.enable_webhook`, `bookpost.disable_webhook`. Raises BP404. */
export async function switchWebhook(
  db: Queryable,
  endpointId: string,
  to: "enable" | "disable",
): Promise<void> {
  await db.query(
    to === "enable"
      ? "select bookpost.enable_webhook($1::uuid)"
      : "select bookpost.disable_webhook($1::uuid)",
    [endpointId],
  );
}
