import { Command } from "commander";
import { inTransaction } from "../../db/inTransaction.ts";
import { UsageError } from "../../errors.ts";
import { optIn } from "../../sql/optIn.ts";
import { optOut } from "../../sql/optOut.ts";
import { readUser } from "../../sql/readUser.ts";
import { setUser } from "../../sql/setUser.ts";
import type { CliContext } from "../context.ts";
import { resolveUser } from "../resolveUser.ts";
import { userName } from "../userName.ts";
import { addRemovals, addUserOptions, toChanges, type UserOptions } from "../userOptions.ts";
import { userRefusal } from "../userRefusal.ts";
import { userText } from "../userText.ts";

interface SetOptions extends UserOptions {
  readonly optIn?: readonly string[];
  readonly optOut?: readonly string[];
}

export function userSetCommand(context: CliContext): Command {
  const command = new Command("set")
    .description("change what is known of someone; what is not named stays")
    .argument("<user>", "id, the beginning of one, the app's own id, or email address");
  return addRemovals(addUserOptions(command))
    .option("--opt-in <channel>", "the person wants email or sms (again)", collectChannels)
    .option("--opt-out <channel>", "the person wants no more email or sms", collectChannels)
    .action(async (text: string, given: SetOptions) => {
      const changes = await toChanges(given);
      const isChanged = Object.keys(changes).length > 0;
      const { optIn: ins = [], optOut: outs = [] } = given;
      if (!isChanged && ins.length + outs.length === 0)
        throw new UsageError(
          "NO_CHANGE",
          "Say what is to change, such as --email or --quiet; npx bookpost user set --help lists it all.",
        );
      const both = ins.find((channel) => outs.includes(channel));
      if (both !== undefined)
        throw new UsageError("IN_AND_OUT", `Opt in to ${both} or out of it: one of them.`);
      await context.withDatabase(async (db) => {
        const id = await resolveUser(db, text);
        await inTransaction(db, async () => {
          if (isChanged) await setUser(db, id, changes);
          for (const channel of ins) await optIn(db, id, channel);
          for (const channel of outs) await optOut(db, id, channel);
        }).catch((error: unknown) => {
          throw userRefusal(error, changes);
        });
        const user = await readUser(db, id);
        if (user === null) return;
        context.print({
          json: { user },
          text: () => [`Changed ${userName(user)}.`, userText(user)].join("\n"),
        });
      });
    });
}

function collectChannels(channel: string, earlier: readonly string[] = []): readonly string[] {
  if (channel !== "email" && channel !== "sms")
    throw new UsageError("BAD_CHANNEL", `One opts in to email or sms; "${channel}" is neither.`);
  return [...earlier, channel];
}
