import type { Queryable } from "../db/withTransaction.ts";
import { UsageError } from "../errors.ts";
import { findUsers } from "../sql/findUsers.ts";
import { idRange } from "./idRange.ts";

/**
 * The id of the one user that `text` means: her id, the beginning of it, the
 * app's own id or her email address.
 * @throws UsageError UNKNOWN_USER, AMBIGUOUS_USER
 */
export async function resolveUser(db: Queryable, text: string): Promise<string> {
  const found = await findUsers(db, { ids: idRange(text), text: text.trim() });
  const [id, ...others] = found;
  if (id === undefined)
    throw new UsageError(
      "UNKNOWN_USER",
      `There is no user "${text}": give the id, the beginning of it, the app's own id or the email address.`,
    );
  if (others.length > 0)
    throw new UsageError(
      "AMBIGUOUS_USER",
      `"${text}" means ${found.length} users; give the id of the one you mean: ${found.join(", ")}.`,
    );
  return id;
}
