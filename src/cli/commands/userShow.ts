import { Command } from "commander";
import { type DeliveryRow, readDeliveries } from "../../sql/readDeliveries.ts";
import { readUser, type UserDetails } from "../../sql/readUser.ts";
import type { CliContext } from "../context.ts";
import { deliveryTable } from "../deliveryTable.ts";
import { resolveUser } from "../resolveUser.ts";
import { type Column, table } from "../table.ts";
import { userText } from "../userText.ts";
import { words } from "../words.ts";

/** Chosen: what came last, without scrolling. */
const SHOWN_MESSAGES = 10;

type Webhook = UserDetails["webhooks"][number];

const webhookColumns: readonly Column<Webhook>[] = [
  { title: "webhook", of: ({ id }) => id.slice(0, 8) },
  { title: "address", of: ({ url }) => url, isFree: true },
  { title: "for", of: ({ isForEveryone }) => (isForEveryone ? "everyone" : "this user") },
  {
    title: "state",
    of: ({ disabledReason }) =>
      disabledReason === null ? "in use" : `disabled: ${words(disabledReason)}`,
  },
  { title: "description", of: ({ description }) => description, isFree: true },
];

export function userShowCommand(context: CliContext): Command {
  return new Command("show")
    .description("someone: addresses, how each channel reaches her and if not why, last messages")
    .argument("<user>", "id, the beginning of one, the app's own id, or email address")
    .action((text: string) =>
      context.withDatabase(async (db) => {
        const userId = await resolveUser(db, text);
        const user = await readUser(db, userId);
        const messages = await readDeliveries(db, { userId }, SHOWN_MESSAGES);
        if (user === null) return;
        context.print({
          json: { user, messages },
          text: (width) => show(user, messages, width),
        });
      }),
    );
}

function show(user: UserDetails, messages: readonly DeliveryRow[], width: number): string {
  return [
    userText(user),
    ...(user.webhooks.length === 0 ? [] : [table(webhookColumns, user.webhooks, width)]),
    messages.length === 0
      ? "No message was sent to this user yet, beside those in the app."
      : deliveryTable(messages, width),
  ].join("\n\n");
}
