import type { Queryable } from "../db/withTransaction.ts";
import { columnsOf, type UserChanges } from "./userChanges.ts";

/** How a person (null: who is signed in) wants to be told: `bookpost.set_notification_preferences`. Her id. Raises BP404; what breaks a rule is refused by its constraint. */
export async function setNotificationPreferences(
  db: Queryable,
  userId: string | null,
  changes: Omit<UserChanges, "appUserId" | "name" | "email" | "phoneNumber">,
): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    "select id from bookpost.set_notification_preferences($1::uuid, $2::jsonb)",
    [userId, columnsOf(changes).row],
  );
  return (rows[0] as { id: string }).id;
}
