import type pg from "pg";
import { withTransaction } from "../db/withTransaction.ts";
import { KNOWN_USERS } from "./limits.ts";

/**
 * The id of the user with this `app_user_id`, or null. Who was found is
 * remembered for a minute; who was not is looked for again, since an app adds
 * its user a moment before she comes.
 */
export function createUserFinder(pool: pg.Pool): (appUserId: string) => Promise<string | null> {
  // A Map keeps its order of insertion: the first was asked for longest ago.
  const known = new Map<string, { readonly id: string; readonly until: number }>();
  return async (appUserId) => {
    const found = known.get(appUserId);
    if (found && found.until > Date.now()) return found.id;
    known.delete(appUserId);
    const id = await readUserId(pool, appUserId);
    if (id === null) return null;
    known.set(appUserId, { id, until: Date.now() + KNOWN_USERS.keptMs });
    const [oldest] = known.keys();
    if (known.size > KNOWN_USERS.most && oldest !== undefined) known.delete(oldest);
    return id;
  };
}

/** As the operator, who alone sees people whose id is not known yet. */
async function readUserId(pool: pg.Pool, appUserId: string): Promise<string | null> {
  return withTransaction(pool, async (client) => {
    await client.query("set local role bookpost_operator");
    const { rows } = await client.query<{ id: string }>(
      "select id from bookpost.users where app_user_id = $1",
      [appUserId],
    );
    return rows[0]?.id ?? null;
  });
}
