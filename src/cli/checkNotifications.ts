import type { NotificationConfig } from "../notificationConfig.ts";
import type { ChannelRow } from "../sql/readChannels.ts";
import type { DeliveryTrouble } from "../sql/readDeliveryTroubles.ts";
import type { Finding } from "./diagnose.ts";
import { oneLine } from "./oneLine.ts";
import { duration, fromNow } from "./ownTime.ts";

/** What a worker needs to send by a channel; a webhook needs nothing. */
const MEANS: Readonly<Record<string, string>> = {
  email: "set SMTP_URL where the worker runs, and restart it",
  sms: "set SMS_PROVIDER (twilio or sns) and its credentials where the worker runs, and restart it",
};

/** What the environment of this process says of email and text messages. */
export function checkChannelConfig({ email, sms }: NotificationConfig): Finding[] {
  return [
    email === null
      ? finding("email", "note", "not configured here", "set SMTP_URL")
      : finding("email", "well", `configured here, from ${email.from}`, null),
    sms === null
      ? finding("sms", "note", "not configured here", "set SMS_PROVIDER to twilio or sns")
      : finding("sms", "well", `configured here, by ${sms.provider}`, null),
  ];
}

/** What goes out, what waits and what does not get through. */
export function checkNotifications(
  channels: readonly ChannelRow[],
  troubles: readonly DeliveryTrouble[],
): Finding[] {
  return [
    ...channels.flatMap(checkChannel),
    ...["dead_delivery", "webhook_disabled", "channel_in_trouble"].flatMap((kind) =>
      checkTroubles(troubles.filter((trouble) => trouble.kind === kind)),
    ),
  ];
}

function checkChannel(row: ChannelRow): Finding[] {
  const { channel, isConfigured, waiting, longestOverdueMs, sentLastHour } = row;
  if (!isConfigured)
    return waiting === 0
      ? []
      : [
          finding(
            channel,
            "wrong",
            `${messages(waiting)} ${waiting === 1 ? "waits" : "wait"}, and no worker can send by it`,
            MEANS[channel] ?? null,
          ),
        ];
  const due = longestOverdueMs ?? 0;
  const waits =
    waiting === 0
      ? "nothing waits"
      : `${messages(waiting)} ${waiting === 1 ? "waits" : "wait"}${due > 1000 ? `, due for ${duration(due)}` : ""}`;
  const found = [
    finding(channel, "well", `${messages(sentLastHour)} sent in the last hour, ${waits}`, null),
  ];
  if (row.heldUntil !== null)
    found.push(
      finding(
        channel,
        "note",
        `left alone after trouble on the other side, until ${fromNow(row.heldUntil)}: ${oneLine(row.lastError ?? "no reason kept")}`,
        "it is tried again by itself",
      ),
    );
  return found;
}

/** Each kind of trouble once, with the newest of them. */
function checkTroubles(troubles: readonly DeliveryTrouble[]): Finding[] {
  const [newest] = troubles;
  if (newest === undefined) return [];
  const detail = oneLine(newest.detail ?? "no reason kept");
  const count = troubles.length;
  switch (newest.kind) {
    case "dead_delivery":
      return [
        finding(
          "messages",
          "note",
          `${messages(count)} of the last week could not be sent; the newest: ${detail}`,
          "npx bookpost deliveries --dead lists them, npx bookpost deliveries retry sends one again",
        ),
      ];
    case "webhook_disabled":
      return troubles.map(({ what, detail }) =>
        finding(
          "webhooks",
          "note",
          `${what} is disabled: ${detail}`,
          `when it is well again: npx bookpost sql --write "select bookpost.enable_webhook('${what.replace(/^webhook /, "")}')"`,
        ),
      );
    case "channel_in_trouble":
      return troubles.map(({ what, detail }) =>
        finding(
          "messages",
          "wrong",
          `${what} does not get through: ${detail}`,
          "npx bookpost notify test <user> tries it",
        ),
      );
    default:
      return newest.kind satisfies never;
  }
}

function messages(count: number): string {
  return count === 1 ? "1 message" : `${count} messages`;
}

function finding(
  name: string,
  state: Finding["state"],
  text: string,
  wayOut: string | null,
): Finding {
  return { name, state, finding: text, wayOut };
}
