import type { Queryable } from "../db/withTransaction.ts";

export interface FoundUser {
  readonly id: string;
  readonly appUserId: string | null;
  readonly name: string | null;
  readonly foundBy: "id" | "app_id" | "email";
}

/** Both ends of a range of ids; null: not by id. The text is an id of the app's, or an email address in any case of letters. */
export interface UserSearch {
  readonly ids: readonly [from: string, until: string] | null;
  readonly text: string;
}

/** People whose id lies in a range, whose id in the app is this, or whose email address. At most 20 of each. */
export async function findUsers(db: Queryable, search: UserSearch): Promise<FoundUser[]> {
  const { rows } = await db.query<FoundUser>(
    `(
      select u.id, u.app_user_id as "appUserId", u.name, 'id' as "foundBy" from bookpost.users u
      where u.id between $1::uuid and $2::uuid order by u.id limit 20
    )
    union all
    select u.id, u.app_user_id, u.name, 'app_id' from bookpost.users u where u.app_user_id = $3
    union all
    (
      select u.id, u.app_user_id, u.name, 'email' from bookpost.users u
      where lower(u.email) = lower($3) order by u.id limit 20
    )`,
    [search.ids?.[0], search.ids?.[1], search.text],
  );
  return rows;
}
