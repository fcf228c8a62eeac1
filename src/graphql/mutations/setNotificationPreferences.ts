import { gql } from "postgraphile/utils";
import { readPreferences, type SaidPreferences } from "../../input/preferences.ts";
import { requireChange } from "../../input/requireChange.ts";
import { readUserId } from "../../input/userId.ts";
import { setNotificationPreferences as callSetNotificationPreferences } from "../../sql/setNotificationPreferences.ts";
import { createMutation } from "./createMutation.ts";

interface Said extends SaidPreferences {
  readonly userId?: string | null;
}

export const setNotificationPreferences = createMutation({
  name: "setNotificationPreferences",
  typeDefs: gql`
    extend type Mutation {
      """
      Sets how a person wants to be told. What is left out stays. What she has
      opted out of stays so whatever is wanted here: optIn ends it.
      """
      setNotificationPreferences(
        input: SetNotificationPreferencesInput!
      ): SetNotificationPreferencesPayload
    }

    input SetNotificationPreferencesInput {
      """Whether email is wanted."""
      isEmailWanted: Boolean

      """Text messages are sent to a verified number only."""
      isSmsWanted: Boolean

      """In which messages are written, such as en or pt-BR."""
      language: String

      """In which times are shown, such as Europe/London."""
      timeZone: String

      """When no email or text message is sent; null: at any hour they are."""
      quietHours: QuietHoursInput

      """Whose; left out: who is signed in."""
      userId: UUID
    }

    """By the person's own clock; before from, until is on the next day."""
    input QuietHoursInput {
      """Such as 22:00."""
      from: String!

      """Such as 07:00."""
      until: String!
    }

    type SetNotificationPreferencesPayload {
      user: User
    }
  `,
  shows: ["user"],
  read: ({ userId, ...said }: Said) => ({
    userId: readUserId(userId),
    changes: requireChange(readPreferences(said)),
  }),
  run: async (db, { userId, changes }) => ({
    userId: await callSetNotificationPreferences(db, userId, changes),
  }),
});
