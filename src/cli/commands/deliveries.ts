import { Command } from "commander";
import { readDeliveries } from "../../sql/readDeliveries.ts";
import type { CliContext } from "../context.ts";
import { deliveryTable } from "../deliveryTable.ts";
import { parseLimit } from "../parseLimit.ts";
import { resolveUser } from "../resolveUser.ts";
import { deliveriesRetryCommand } from "./deliveriesRetry.ts";

interface DeliveriesOptions {
  readonly dead?: boolean;
  readonly user?: string;
  readonly limit: number;
}

export function deliveriesCommand(context: CliContext): Command {
  return new Command("deliveries")
    .description("messages by email, text message and webhook, and what became of each")
    .option("--dead", "only those that could not be sent")
    .option("--user <user>", "only those to this person: id, app's own id, or email address")
    .option("--limit <n>", "at most so many, the newest first", parseLimit, 50)
    .enablePositionalOptions()
    .addCommand(deliveriesRetryCommand(context))
    .action(({ dead, user, limit }: DeliveriesOptions) =>
      context.withDatabase(async (db) => {
        const userId = user === undefined ? undefined : await resolveUser(db, user);
        const filter = { userId, state: dead ? "dead" : undefined };
        // One more than shown tells whether there are more.
        const found = await readDeliveries(db, filter, limit + 1);
        const messages = found.slice(0, limit);
        context.print({
          json: messages,
          text: (width) => {
            if (messages.length > 0) return deliveryTable(messages, width);
            return dead ? "No message is dead." : "No message has been queued yet.";
          },
        });
        if (found.length > limit)
          context.remark(`There are more: --limit ${limit * 2} shows them.`);
      }),
    );
}
