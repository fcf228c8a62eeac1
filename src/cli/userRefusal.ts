import { BookpostError, UsageError } from "../errors.ts";
import type { UserChanges } from "../sql/userChanges.ts";

/** Constraint of bookpost.users → what is told when it refuses. Addresses and numbers are not repeated. */
const SENTENCES: Readonly<Record<string, (said: UserChanges) => string>> = {
  users_email_has_one_at: () => "--email must be one address such as reader@example.org.",
  users_name_is_short: ({ name }) =>
    `A name has at most 200 characters; this one has ${name?.length}.`,
  users_language_is_a_tag: ({ language }) =>
    `--language must be a language tag such as en or pt-BR; "${language}" is not.`,
  users_time_zone_is_known: ({ timeZone }) =>
    `--time-zone must be a zone such as Europe/London; "${timeZone}" is not.`,
};

/** Postgres's SQLSTATE for a value it cannot use, here a time zone. */
const BAD_VALUE = "22023";

/** What the database refuses of a person, in the command line's words; another error comes back as it is. */
export function userRefusal(error: unknown, said: UserChanges): unknown {
  const { code, constraint } = error as { code?: string; constraint?: string };
  if (code === "23505" && constraint === "users_app_user_id_is_unique")
    return new BookpostError(
      "APP_ID_TAKEN",
      `The app's id "${said.appUserId}" belongs to a user already: npx bookpost user show ${said.appUserId} shows whom, user set changes her.`,
      { cause: error },
    );
  const sentence =
    SENTENCES[code === BAD_VALUE ? "users_time_zone_is_known" : (constraint ?? "")]?.(said);
  return sentence === undefined ? error : new UsageError("BAD_INPUT", sentence, { cause: error });
}
