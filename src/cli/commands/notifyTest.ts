import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import type { Connection } from "../../db/withConnection.ts";
import { UsageError } from "../../errors.ts";
import { type ChannelRow, readChannels } from "../../sql/readChannels.ts";
import { type DeliveryRow, readDeliveries } from "../../sql/readDeliveries.ts";
import { sendTest } from "../../sql/sendTest.ts";
import type { CliContext } from "../context.ts";
import { deliveryText } from "../deliveryText.ts";
import { labels } from "../labels.ts";
import { oneLine } from "../oneLine.ts";
import { fromNow } from "../ownTime.ts";
import { resolveUser } from "../resolveUser.ts";

/** Chosen: longer than a slow mail server and one retry take. */
const DEFAULT_WAIT_SECONDS = 60;
/** Chosen: soon enough to look at once. */
const LOOK_EVERY_MS = 200;
const ENDED = new Set(["sent", "folded", "dropped", "dead"]);

interface Seen {
  readonly messages: readonly DeliveryRow[];
  readonly channels: readonly ChannelRow[];
}

export function notifyTestCommand(context: CliContext): Command {
  return new Command("test")
    .description("send someone a test message by every channel, and say what became of each")
    .argument("<user>", "id, the beginning of one, the app's own id, or email address")
    .option("--wait <seconds>", "how long to follow them", parseSeconds, DEFAULT_WAIT_SECONDS)
    .option("--no-wait", "queue them and follow nothing")
    .addHelpText("after", "\nExit code 1 if a message is dead or still waits.")
    .action((text: string, { wait }: { wait: number | false }) =>
      context.withDatabase(async (db) => {
        const userId = await resolveUser(db, text);
        const ids = await sendTest(db, userId);
        const seen = await follow(db, ids, { seconds: wait || 0, isShown: !context.isJson });
        context.print({
          json: {
            userId,
            messages: seen.messages.map(toJson),
            channels: seen.channels.map(toState),
          },
          text: () => report(seen, wait !== false),
        });
        const isWell = seen.messages.every(({ state }) => ENDED.has(state) && state !== "dead");
        if (ids.length === 0 || (wait !== false && !isWell)) context.fail();
      }),
    );
}

/** Looks until each has ended, the time is over, or nobody is there to send them. */
async function follow(
  db: Connection,
  ids: readonly string[],
  options: { readonly seconds: number; readonly isShown: boolean },
): Promise<Seen> {
  const until = performance.now() + options.seconds * 1000;
  const isLive = options.isShown && process.stderr.isTTY === true;
  // Loaded here: the other commands do without it.
  const screen = isLive ? (await import("log-update")).createLogUpdate(process.stderr) : null;
  while (true) {
    const messages = await readDeliveries(db, { ids }, ids.length);
    const channels = await readChannels(db);
    const isOver =
      messages.every(({ state }) => ENDED.has(state)) ||
      channels.every(({ livingWorkers }) => livingWorkers === 0) ||
      performance.now() >= until;
    if (isOver) {
      screen?.clear();
      return { messages, channels };
    }
    screen?.(report({ messages, channels }, false));
    await sleep(LOOK_EVERY_MS);
  }
}

/** A line for each message, and one for each channel that has none. */
function report({ messages, channels }: Seen, isOver: boolean): string {
  return labels([
    ...messages.map((message): [string, string] => [
      message.channel,
      ENDED.has(message.state) || !isOver
        ? deliveryText(message)
        : `still waiting: ${whyWaiting(message, channels)}`,
    ]),
    ...channels
      .filter(({ channel }) => !messages.some((message) => message.channel === channel))
      .map(({ channel }): [string, string] => [channel, NOT_SENT[channel] ?? "not configured"]),
  ]);
}

/** Why a channel has no test message. */
const NOT_SENT: Readonly<Record<string, string>> = {
  email: "not tried: no worker can send; set SMTP_URL where the worker runs",
  sms: "not tried: no worker can send; set SMS_PROVIDER and its credentials where the worker runs",
  webhook: "not tried: no endpoint in use is registered for this user",
};

function whyWaiting(message: DeliveryRow, channels: readonly ChannelRow[]): string {
  const channel = channels.find(({ channel }) => channel === message.channel);
  const error = message.lastError ?? channel?.lastError ?? null;
  const because = error === null ? "" : ` (${oneLine(error)})`;
  if (channel?.livingWorkers === 0) return `no worker is alive: npm start${because}`;
  if (channel?.heldUntil)
    return `after trouble on the other side nothing goes out there, again ${fromNow(channel.heldUntil)}${because}`;
  return message.failureCount > 0
    ? `tried ${message.attemptCount} times, again ${fromNow(message.dueAt)}${because}`
    : `no worker has taken it yet; npx bookpost doctor tells more${because}`;
}

function toJson(message: DeliveryRow) {
  const { id, channel, endpointId, state, reason, tookMs, attemptCount, dueAt, lastError } =
    message;
  return { id, channel, endpointId, state, reason, tookMs, attemptCount, dueAt, lastError };
}

function toState({ channel, isConfigured, heldUntil, livingWorkers }: ChannelRow) {
  return { channel, isConfigured, heldUntil, livingWorkers };
}

function parseSeconds(text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= 3600) return seconds;
  throw new UsageError(
    "BAD_WAIT",
    `--wait must be whole seconds from 1 to 3600; "${text}" is not.`,
  );
}
