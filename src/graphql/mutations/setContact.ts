import { gql } from "postgraphile/utils";
import { readContact, type SaidContact } from "../../input/contact.ts";
import { requireChange } from "../../input/requireChange.ts";
import { readUserId } from "../../input/userId.ts";
import { setContact as callSetContact } from "../../sql/setContact.ts";
import { createMutation } from "./createMutation.ts";

interface Said extends SaidContact {
  readonly userId?: string | null;
}

export const setContact = createMutation({
  name: "setContact",
  typeDefs: gql`
    extend type Mutation {
      """
      Sets how a person is called and reached. What is left out stays; null takes
      it away. A new phone number is not verified.
      """
      setContact(input: SetContactInput!): SetContactPayload
    }

    input SetContactInput {
      """At most 200 characters."""
      name: String
      """Where mail goes."""
      email: String

      """As people write it; kept in international form (E.164)."""
      phoneNumber: String

      """Where phoneNumber is dialled like that, such as GB; not needed with +."""
      country: String

      """Whose; left out: who is signed in."""
      userId: UUID
    }

    type SetContactPayload {
      user: User
    }
  `,
  shows: ["user"],
  async read({ userId, ...said }: Said) {
    return { userId: readUserId(userId), changes: requireChange(await readContact(said)) };
  },
  run: async (db, { userId, changes }) => ({ userId: await callSetContact(db, userId, changes) }),
});
