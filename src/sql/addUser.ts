import type { Queryable } from "../db/withTransaction.ts";
import { columnsOf, type UserChanges } from "./userChanges.ts";

/** Adds a person of whom one thing at least is said; the id. What breaks a rule is refused by its constraint. Commits. */
export async function addUser(db: Queryable, person: UserChanges): Promise<string> {
  const { columns, row } = columnsOf(person);
  const { rows } = await db.query<{ id: string }>(
    `insert into bookpost.users (${columns})
    select ${columns} from jsonb_populate_record(null::bookpost.users, $1)
    returning id`,
    [row],
  );
  return (rows[0] as { id: string }).id;
}
