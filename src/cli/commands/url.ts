import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { PROJECT } from "../context.ts";
import { findDatabase } from "../findDatabase.ts";

export function urlCommand(context: CliContext): Command {
  return new Command("url")
    .description(
      'the address of the database in use, password included: psql "$(npx bookpost url)"',
    )
    .action(async () => {
      const { url } = await findDatabase(context.config(), PROJECT);
      context.print({ json: { url }, text: () => url });
    });
}
