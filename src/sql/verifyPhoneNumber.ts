import type { Queryable } from "../db/withTransaction.ts";

/** Gives back the code that came by text message: `bookpost.verify_phone_number`. Whether it was the right one. Commits, and must: a wrong guess counts. */
export async function verifyPhoneNumber(
  db: Queryable,
  userId: string | null,
  code: string,
): Promise<boolean> {
  const { rows } = await db.query<{ isVerified: boolean }>(
    'select bookpost.verify_phone_number($1::uuid, $2) as "isVerified"',
    [userId, code],
  );
  return rows[0]?.isVerified === true;
}
