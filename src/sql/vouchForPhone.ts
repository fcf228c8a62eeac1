import type { Queryable } from "../db/withTransaction.ts";

/** An app says that it has verified this number of a person itself: text messages go there from now on. Commits. */
export async function vouchForPhone(
  db: Queryable,
  userId: string,
  phoneNumber: string,
): Promise<void> {
  await db.query(
    `update bookpost.users
    set phone_number = $2, phone_verified_at = clock_timestamp(), is_sms_wanted = true
    where id = $1::uuid`,
    [userId, phoneNumber],
  );
}
