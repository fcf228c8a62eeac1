import { gql } from "postgraphile/utils";
import { readUserId } from "../../input/userId.ts";
import { optIn as callOptIn } from "../../sql/optIn.ts";
import { optOut as callOptOut } from "../../sql/optOut.ts";
import { readUserMeant } from "../../sql/readUserMeant.ts";
import { createMutation } from "./createMutation.ts";

interface Said {
  readonly channel: string;
  readonly userId?: string | null;
}

function read({ channel, userId }: Said) {
  return { channel, userId: readUserId(userId) };
}

export const optIn = createMutation({
  name: "optIn",
  typeDefs: gql`
    extend type Mutation {
      """
      The person wants email or text messages (again): ends her opting out, and
      the refusal of her address.
      """
      optIn(input: OptInInput!): OptInPayload
    }

    input OptInInput {
      """By what she is, or no more is, told."""
      channel: ConsentChannel!

      """Whose; left out: who is signed in."""
      userId: UUID
    }

    """A way of being told that one opts in to and out of."""
    enum ConsentChannel {
      """Email."""
      EMAIL

      """Text messages."""
      SMS
    }

    type OptInPayload {
      user: User
    }
  `,
  enums: { ConsentChannel: { values: { EMAIL: "email", SMS: "sms" } } },
  shows: ["user"],
  read,
  async run(db, { userId, channel }) {
    await callOptIn(db, userId, channel);
    return { userId: await readUserMeant(db, userId) };
  },
});

export const optOut = createMutation({
  name: "optOut",
  typeDefs: gql`
    extend type Mutation {
      """
      The person wants no more email or text messages, from the next message on.
      Only optIn ends it.
      """
      optOut(input: OptOutInput!): OptOutPayload
    }

    input OptOutInput {
      """By what she is, or no more is, told."""
      channel: ConsentChannel!

      """Whose; left out: who is signed in."""
      userId: UUID
    }

    type OptOutPayload {
      user: User
    }
  `,
  shows: ["user"],
  read,
  async run(db, { userId, channel }) {
    await callOptOut(db, userId, channel);
    return { userId: await readUserMeant(db, userId) };
  },
});
