import { gql } from "postgraphile/utils";
import { readUserId } from "../../input/userId.ts";
import { readUserMeant } from "../../sql/readUserMeant.ts";
import { requestPhoneVerification as callRequest } from "../../sql/requestPhoneVerification.ts";
import { verifyPhoneNumber } from "../../sql/verifyPhoneNumber.ts";
import { createMutation } from "./createMutation.ts";

export const requestPhoneVerification = createMutation({
  name: "requestPhoneVerification",
  typeDefs: gql`
    extend type Mutation {
      """
      Sends a code to the person's phone number, to be given back with
      verifyPhone within 10 minutes. 3 an hour and 10 a day are sent.
      """
      requestPhoneVerification(
        input: RequestPhoneVerificationInput
      ): RequestPhoneVerificationPayload
    }

    input RequestPhoneVerificationInput {
      """Whose; left out: who is signed in."""
      userId: UUID
    }

    type RequestPhoneVerificationPayload {
      user: User
    }
  `,
  shows: ["user"],
  read: ({ userId }: { userId?: string | null }) => readUserId(userId),
  async run(db, userId) {
    await callRequest(db, userId);
    return { userId: await readUserMeant(db, userId) };
  },
});

export const verifyPhone = createMutation({
  name: "verifyPhone",
  typeDefs: gql`
    extend type Mutation {
      """Gives back the code that came by text message. A right one also turns text messages on."""
      verifyPhone(input: VerifyPhoneInput!): VerifyPhonePayload
    }

    input VerifyPhoneInput {
      """Six digits."""
      code: String!

      """Whose; left out: who is signed in."""
      userId: UUID
    }

    type VerifyPhonePayload {
      """False for a wrong code, one older than 10 minutes, and after 5 wrong ones: which, is not told."""
      isVerified: Boolean!
      user: User
    }
  `,
  shows: ["user"],
  read: ({ userId, code }: { userId?: string | null; code: string }) => ({
    userId: readUserId(userId),
    code,
  }),
  // A wrong code is an answer and no error: the guess must be committed to count.
  run: async (db, { userId, code }) => ({
    isVerified: await verifyPhoneNumber(db, userId, code),
    userId: await readUserMeant(db, userId),
  }),
});
