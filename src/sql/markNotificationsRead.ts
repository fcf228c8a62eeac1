import type { Queryable } from "../db/withTransaction.ts";

export interface ReadNotifications {
  readonly ids: readonly string[] | null;
  /** An instant in ISO 8601. */
  readonly upTo: string | null;
  /** Null: who is signed in. */
  readonly userId: string | null;
}

/** A person has read notifications: `bookpost.mark_notifications_read`. Who it was, how many became read, how many are left unread. Raises BP404 and BP400. */
export async function markNotificationsRead(
  db: Queryable,
  { ids, upTo, userId }: ReadNotifications,
): Promise<{ userId: string; readCount: number; unreadCount: number }> {
  const { rows } = await db.query<{ readCount: number }>(
    `select bookpost.mark_notifications_read($1::uuid[], $2::timestamptz, $3::uuid) as "readCount"`,
    [ids, upTo, userId],
  );
  const { rows: left } = await db.query<{ userId: string; unreadCount: number }>(
    `select u.id as "userId", bookpost.users_unread_notification_count(u) as "unreadCount"
    from bookpost.users u where u.id = coalesce($1::uuid, bookpost.current_user_id())`,
    [userId],
  );
  return {
    ...(rows[0] as { readCount: number }),
    ...(left[0] as { userId: string; unreadCount: number }),
  };
}
