import type { Queryable } from "../db/withTransaction.ts";
import { UsageError } from "../errors.ts";
import { type FoundUser, findUsers } from "../sql/findUsers.ts";
import { idRange, SHORTEST_PREFIX } from "./idRange.ts";

/**
 * The id of the one person whom `text` means: her id, the beginning of it, the
 * app's own id of her, or her email address. Where it is an id of the app's it
 * means nothing else.
 * @throws UsageError UNKNOWN_USER, or AMBIGUOUS_USER naming the candidates.
 */
export async function resolveUser(db: Queryable, text: string): Promise<string> {
  const found = await findUsers(db, { ids: idRange(text), text: text.trim() });
  const byAppId = found.filter(({ foundBy }) => foundBy === "app_id");
  const meant = byAppId.length > 0 ? byAppId : found;
  const unique = [...new Map(meant.map((user) => [user.id, user])).values()];
  if (unique.length > 1) throw ambiguous(text, unique);
  if (unique[0] === undefined) throw unknown(text);
  return unique[0].id;
}

function unknown(text: string): UsageError {
  // An address is nobody's business but the person's.
  const who = text.includes("@") ? "with this email address" : `"${text}"`;
  return new UsageError(
    "UNKNOWN_USER",
    `There is no user ${who}: give the id, at least the first ${SHORTEST_PREFIX} characters of it, the app's own id or the email address; npx bookpost user list shows them.`,
  );
}

function ambiguous(text: string, users: readonly FoundUser[]): UsageError {
  const what = text.includes("@") ? "This email address" : `"${text}"`;
  const list = users
    .map(({ id, name, appUserId }) =>
      [id, name && `"${name}"`, appUserId].filter(Boolean).join(" "),
    )
    .join("; ");
  return new UsageError(
    "AMBIGUOUS_USER",
    `${what} means ${users.length} users; give more of the id of the one you mean: ${list}.`,
  );
}
