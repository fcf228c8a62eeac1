import type { Queryable } from "../db/withTransaction.ts";
import { columnsOf, type UserChanges } from "./userChanges.ts";

/** Changes what is said of a person, one thing at least; the rest stays. What breaks a rule is refused by its constraint. */
export async function setUser(db: Queryable, userId: string, changes: UserChanges): Promise<void> {
  const { columns, row } = columnsOf(changes);
  await db.query(
    `update bookpost.users set (${columns}) = (
      select ${columns} from jsonb_populate_record(null::bookpost.users, $2)
    )
    where id = $1::uuid`,
    [userId, row],
  );
}
