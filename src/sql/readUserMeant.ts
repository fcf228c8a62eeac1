import type { Queryable } from "../db/withTransaction.ts";

/** The id of the person who is meant: who is named, else who is signed in; "" where nobody is. */
export async function readUserMeant(db: Queryable, userId: string | null): Promise<string> {
  if (userId !== null) return userId;
  const { rows } = await db.query<{ id: string | null }>("select bookpost.current_user_id() as id");
  return rows[0]?.id ?? "";
}
