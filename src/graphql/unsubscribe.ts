import type pg from "pg";
import { withTransaction } from "../db/withTransaction.ts";

/** Ends a person's emails by the token of a message's link; false where nobody has it. As the visitor, who may do no more. */
export function createUnsubscribe(pool: pg.Pool): (token: string) => Promise<boolean> {
  return (token) =>
    withTransaction(pool, async (client) => {
      await client.query("set local role bookpost_visitor");
      const { rows } = await client.query<{ found: boolean }>(
        "select bookpost.unsubscribe($1) as found",
        [token],
      );
      return rows[0]?.found === true;
    });
}
