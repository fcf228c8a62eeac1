import { BookpostError } from "../errors.ts";
import type { UserChanges } from "../sql/userChanges.ts";

/** The database refuses an app's id that another person has; another error comes back as it is. */
export function userRefusal(error: unknown, said: UserChanges): unknown {
  const { code, constraint } = error as { code?: string; constraint?: string };
  if (code !== "23505" || constraint !== "users_app_user_id_is_unique") return error;
  return new BookpostError(
    "APP_ID_TAKEN",
    `The app's id "${said.appUserId}" belongs to a user already: npx bookpost user show ${said.appUserId} shows whom, user set changes her.`,
    { cause: error },
  );
}
