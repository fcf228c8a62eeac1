import type { NotificationConfig } from "../notificationConfig.ts";
import type { Channel } from "./channel.ts";
import { createEmailChannel } from "./email.ts";
import type { ChannelCode } from "./message.ts";
import { createSms } from "./sms.ts";
import { createWebhookChannel } from "./webhook.ts";

/** Opens every channel that the environment has the means for. */
export function openChannels(config: NotificationConfig): ReadonlyMap<ChannelCode, Channel> {
  const channels: Channel[] = [];
  if (config.email !== null) channels.push(createEmailChannel(config.email));
  if (config.sms !== null) channels.push(createSms(config.sms));
  channels.push(createWebhookChannel(config.webhook));
  return new Map(channels.map((channel) => [channel.code, channel]));
}
