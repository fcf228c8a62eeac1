import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { createWebhookGuard } from "../../notifications/webhookGuard.ts";
import { addWebhook } from "../../sql/addWebhook.ts";
import { readWebhooks, type WebhookRow } from "../../sql/readWebhooks.ts";
import { rotateWebhookSecret } from "../../sql/rotateWebhookSecret.ts";
import { switchWebhook } from "../../sql/switchWebhook.ts";
import type { CliContext } from "../context.ts";
import { labels } from "../labels.ts";
import { fromNow } from "../ownTime.ts";
import { resolveUser } from "../resolveUser.ts";
import { resolveWebhook } from "../resolveWebhook.ts";
import { type Column, table } from "../table.ts";
import { words } from "../words.ts";

/** Endpoints of apps; everything but `list` changes something. */
export function webhookCommand(context: CliContext): Command {
  return new Command("webhook")
    .description("where apps hear of news by HTTP: add, list, rotate, enable, disable")
    .addCommand(addCommand(context))
    .addCommand(listCommand(context))
    .addCommand(rotateCommand(context))
    .addCommand(switchCommand(context, "enable"))
    .addCommand(switchCommand(context, "disable"));
}

function addCommand(context: CliContext): Command {
  return new Command("add")
    .description("register an endpoint, and show the secret that its messages are signed with")
    .argument("<url>", "an https address; http only to a network in WEBHOOK_ALLOWED_NETWORKS")
    .option("--user <user>", "whose news: id, app's id or email (everyone's if left out)")
    .option("--description <text>", "what it is, in your words")
    .action((url: string, given: { user?: string; description?: string }) => {
      checkUrl(context, url);
      return context.withDatabase(async (db) => {
        const userId = given.user === undefined ? null : await resolveUser(db, given.user);
        const description = given.description ?? null;
        const { id, secret } = await addWebhook(db, { url, userId, description });
        context.print({
          json: { id, url, userId, description, secret },
          text: () =>
            labels([
              ["webhook", id],
              ["tells", userId === null ? "everyone's news" : `the news of user ${userId}`],
              ["secret", `${secret} (shown this once)`],
            ]),
        });
      });
    });
}

/** What the sender would refuse for certain is refused at once; where a name leads is found out when it is told of something. */
function checkUrl(context: CliContext, text: string): void {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "" || /\s/.test(text))
    throw new UsageError(
      "BAD_URL",
      "A webhook needs an https address without user and password, such as https://example.org/hooks.",
    );
  const refusal = createWebhookGuard(context.config().notifications.webhook.allowedNetworks).why(
    url,
  );
  if (refusal !== null)
    throw new UsageError("BAD_URL", `This address would never be told: ${refusal.message}.`);
}

const columns: readonly Column<WebhookRow>[] = [
  { title: "webhook", of: ({ id }) => id },
  { title: "tells of", of: ({ userId, appUserId }) => appUserId ?? userId ?? "everyone" },
  {
    title: "state",
    of: ({ disabledReason, heldUntil }) =>
      disabledReason !== null
        ? `disabled: ${words(disabledReason)}`
        : heldUntil !== null
          ? `in trouble, again ${fromNow(heldUntil)}`
          : "in use",
  },
  { title: "waiting", of: ({ waiting }) => waiting, align: "right" },
  { title: "dead", of: ({ dead }) => dead, align: "right" },
  { title: "address", of: ({ url }) => url, isFree: true },
  { title: "description", of: ({ description }) => description, isFree: true },
];

function listCommand(context: CliContext): Command {
  return new Command("list").description("all endpoints and how they are").action(() =>
    context.withDatabase(async (db) => {
      const webhooks = await readWebhooks(db);
      context.print({
        json: webhooks,
        text: (width) =>
          webhooks.length === 0
            ? "There is no webhook; npx bookpost webhook add <url> registers one."
            : table(columns, webhooks, width),
      });
    }),
  );
}

/** Postgres's SQLSTATEs for a text that is no interval, and one too long. */
const NO_INTERVAL = new Set(["22007", "22008", "22015"]);

function rotateCommand(context: CliContext): Command {
  return new Command("rotate")
    .description("give an endpoint a new secret; the old one signs as well for a while")
    .argument("<id>", "the webhook's id, or the beginning of it")
    .option("--overlap <time>", "how long the old one lives on; 0 where it has leaked", "24h")
    .action((text: string, { overlap }: { overlap: string }) =>
      context.withDatabase(async (db) => {
        const { id } = await resolveWebhook(db, text);
        const secret = await rotateWebhookSecret(db, id, overlap).catch(
          (error: { code?: string }) => {
            throw NO_INTERVAL.has(error.code ?? "")
              ? new UsageError(
                  "BAD_OVERLAP",
                  `--overlap must be a time such as 24h or "7 days"; "${overlap}" is not.`,
                )
              : error;
          },
        );
        context.print({
          json: { id, secret },
          text: () =>
            labels([
              ["webhook", id],
              ["secret", `${secret} (shown this once)`],
            ]),
        });
      }),
    );
}

function switchCommand(context: CliContext, to: "enable" | "disable"): Command {
  return new Command(to)
    .description(
      to === "enable"
        ? "send to an endpoint again, from the next news on"
        : "send nothing more to an endpoint; what waits can be sent later",
    )
    .argument("<id>", "the webhook's id, or the beginning of it")
    .action((text: string) =>
      context.withDatabase(async (db) => {
        const { id } = await resolveWebhook(db, text);
        await switchWebhook(db, id, to);
        const webhook = await resolveWebhook(db, id);
        context.print({
          json: webhook,
          text: () =>
            to === "enable"
              ? `Webhook ${id} is in use from the next news on; ${webhook.dead} dead messages can be sent again: npx bookpost deliveries --dead.`
              : `Webhook ${id} is disabled.`,
        });
      }),
    );
}
