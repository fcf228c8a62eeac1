import type { Queryable } from "../../src/db/withTransaction.ts";
import { uniqueName } from "./uniqueName.ts";

/** Someone who owns books; the id. */
export async function makeUser(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    "insert into bookpost.users (app_user_id) values ($1) returning id",
    [uniqueName("user")],
  );
  const [user] = rows;
  if (!user) throw new Error("the user was not inserted");
  return user.id;
}
