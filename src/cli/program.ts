import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { circuitCommand } from "./commands/circuit.ts";
import { circuitsCommand } from "./commands/circuits.ts";
import { deliveriesCommand } from "./commands/deliveries.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { listCommand } from "./commands/list.ts";
import { lookupCommand } from "./commands/lookup.ts";
import { markCommand } from "./commands/mark.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { notifyCommand } from "./commands/notify.ts";
import { refreshCommand } from "./commands/refresh.ts";
import { schemaCommand } from "./commands/schema.ts";
import { shareCommand } from "./commands/share.ts";
import { showCommand } from "./commands/show.ts";
import { sqlCommand } from "./commands/sql.ts";
import { trackCommand } from "./commands/track.ts";
import { unshareCommand } from "./commands/unshare.ts";
import { urlCommand } from "./commands/url.ts";
import { userCommand } from "./commands/user.ts";
import { webhookCommand } from "./commands/webhook.ts";
import { whyCommand } from "./commands/why.ts";
import { type CliContext, PROJECT } from "./context.ts";

/** In the order in which people meet them. */
const commands = [
  trackCommand,
  listCommand,
  showCommand,
  refreshCommand,
  markCommand,
  shareCommand,
  unshareCommand,
  whyCommand,
  userCommand,
  notifyCommand,
  deliveriesCommand,
  lookupCommand,
  circuitsCommand,
  circuitCommand,
  webhookCommand,
  doctorCommand,
  sqlCommand,
  migrateCommand,
  schemaCommand,
  urlCommand,
];

/** The whole command line. It throws CommanderError where commander would end the process, and prints no error itself. */
export function createProgram(context: CliContext): Command {
  const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
  const program = new Command("bookpost")
    .description("Tells people where the books they bought or sold are in the post.")
    .version(version)
    // What follows a part's name is that part's own: an option it does not have is refused, and not its parent's.
    .enablePositionalOptions()
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 failed, 2 wrong usage; then nothing was changed.",
    );
  for (const command of commands) program.addCommand(command(context));
  for (const command of withParts(program))
    command
      .option("--json", "one JSON value on stdout, for programs")
      .exitOverride()
      .configureOutput({
        outputError: () => {},
        ...(context.isJson ? { writeErr: () => {} } : {}),
      });
  return program;
}

/** A command, and those that it is made of. */
function withParts(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withParts)];
}
