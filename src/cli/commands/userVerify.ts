import { Command } from "commander";
import { requestPhoneVerification } from "../../sql/requestPhoneVerification.ts";
import { verifyPhoneNumber } from "../../sql/verifyPhoneNumber.ts";
import type { CliContext } from "../context.ts";
import { resolveUser } from "../resolveUser.ts";

export function userVerifyCommand(context: CliContext): Command {
  return new Command("verify")
    .description("prove that a phone number is the person's: send a code, or give it back")
    .argument("<user>", "id, the beginning of one, the app's own id, or email address")
    .argument("[code]", "the code that came by text message; left out, one is sent")
    .action((text: string, code: string | undefined) =>
      context.withDatabase(async (db) => {
        const userId = await resolveUser(db, text);
        if (code === undefined) {
          const messageId = await requestPhoneVerification(db, userId);
          context.print({
            json: { userId, messageId },
            text: () =>
              `A code goes out by text message. Give it back within 10 minutes of its coming: npx bookpost user verify ${text} <code>`,
          });
          return;
        }
        const isVerified = await verifyPhoneNumber(db, userId, code);
        context.print({
          json: { userId, isVerified },
          text: () =>
            isVerified
              ? "The phone number is verified: text messages are on."
              : `That is not the code, or it is older than 10 minutes, or it was guessed 5 times: npx bookpost user verify ${text} sends another.`,
        });
        if (!isVerified) context.fail();
      }),
    );
}
