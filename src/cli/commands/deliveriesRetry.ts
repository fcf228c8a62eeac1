import { Argument, Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { retryDeadDeliveries } from "../../sql/retryDeadDeliveries.ts";
import { retryDelivery } from "../../sql/retryDelivery.ts";
import type { CliContext } from "../context.ts";
import { resolveDelivery } from "../resolveDelivery.ts";

interface RetryOptions {
  readonly allDead?: boolean;
  readonly channel?: string;
}

export function deliveriesRetryCommand(context: CliContext): Command {
  return new Command("retry")
    .description("send a dead message once more, as if it were new")
    .addArgument(new Argument("[message]", "its id, or the beginning of it"))
    .option("--all-dead", "all of them, but for those to webhooks that are disabled")
    .addOption(
      new Option("--channel <channel>", "with --all-dead: only these").choices([
        "email",
        "sms",
        "webhook",
      ]),
    )
    .action((text: string | undefined, { allDead, channel }: RetryOptions) => {
      if ((text === undefined) === (allDead === undefined))
        throw new UsageError("ONE_OR_ALL", "Name one message, or say --all-dead.");
      if (channel !== undefined && !allDead)
        throw new UsageError("CHANNEL_WITHOUT_ALL", "--channel goes with --all-dead.");
      return context.withDatabase(async (db) => {
        const ids =
          text === undefined
            ? await retryDeadDeliveries(db, channel ?? null)
            : [await resolveDelivery(db, text)];
        if (text !== undefined) for (const id of ids) await retryDelivery(db, id);
        context.print({
          json: { retried: ids },
          text: () =>
            ids.length === 0
              ? "No message is dead that could be sent again."
              : `${ids.length === 1 ? "1 message is" : `${ids.length} messages are`} queued again.`,
        });
      });
    });
}
