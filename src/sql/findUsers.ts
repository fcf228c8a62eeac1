import type { Queryable } from "../db/withTransaction.ts";

/** Ids of the users whose id lies in a range, or whose app's id or email is this text. At most 20. */
export async function findUsers(
  db: Queryable,
  search: { readonly ids: readonly [from: string, until: string] | null; readonly text: string },
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select id from bookpost.users
     where id between $1::uuid and $2::uuid or app_user_id = $3 or lower(email) = lower($3)
     order by id limit 20`,
    [search.ids?.[0] ?? null, search.ids?.[1] ?? null, search.text],
  );
  return rows.map(({ id }) => id);
}
