import type { Queryable } from "../db/withTransaction.ts";

/** Sends a code to the person's number: `bookpost.request_phone_verification`. The message's id. Raises BP404, BP400 and BP409. */
export async function requestPhoneVerification(
  db: Queryable,
  userId: string | null,
): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    "select bookpost.request_phone_verification($1::uuid) as id",
    [userId],
  );
  return (rows[0] as { id: string }).id;
}
