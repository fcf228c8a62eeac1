import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { addUser } from "../../sql/addUser.ts";
import { readUser } from "../../sql/readUser.ts";
import type { CliContext } from "../context.ts";
import { userName } from "../userName.ts";
import { addUserOptions, toChanges, type UserOptions } from "../userOptions.ts";
import { userRefusal } from "../userRefusal.ts";
import { userText } from "../userText.ts";

export function userAddCommand(context: CliContext): Command {
  return addUserOptions(new Command("add").description("add someone who is told")).action(
    async (given: UserOptions) => {
      const { appId, name, email, phone } = given;
      if ([appId, name, email, phone].every((said) => said === undefined))
        throw new UsageError(
          "NOBODY",
          "Say who it is: --app-id, --name, --email or --phone, one of them at least.",
        );
      const person = await toChanges(given);
      await context.withDatabase(async (db) => {
        const id = await addUser(db, person).catch((error: unknown) => {
          throw userRefusal(error, person);
        });
        const user = await readUser(db, id);
        if (user === null) return;
        context.print({
          json: { user },
          text: () => [`Added ${userName(user)}.`, userText(user)].join("\n"),
        });
      });
    },
  );
}
