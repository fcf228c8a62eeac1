import type { Queryable } from "../db/withTransaction.ts";

export interface ListedUser {
  readonly id: string;
  readonly appUserId: string | null;
  readonly name: string | null;
  readonly email: string | null;
  readonly phoneNumber: string | null;
  readonly timeZone: string;
  /** Why she is not reached by email or text message, as `bookpost_private.why_not_reached` has it; null: she is. */
  readonly whyNotEmail: string | null;
  readonly whyNotSms: string | null;
  readonly books: number;
}

/** People, the newest first. */
export async function listUsers(db: Queryable, limit: number): Promise<ListedUser[]> {
  const { rows } = await db.query<ListedUser>(
    `select u.id, u.app_user_id as "appUserId", u.name, u.email, u.phone_number as "phoneNumber", u.time_zone as "timeZone",
      bookpost_private.why_not_reached(u, 'email') as "whyNotEmail", bookpost_private.why_not_reached(u, 'sms') as "whyNotSms",
      (select count(*)::integer from bookpost.books b where b.owner_id = u.id) as books
    from (select * from bookpost.users order by created_at desc, id limit $1) n
    join bookpost.users u on u.id = n.id
    order by u.created_at desc, u.id`,
    [limit],
  );
  return rows;
}
