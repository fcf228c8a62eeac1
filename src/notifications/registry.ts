import type { NotificationConfig } from "../notificationConfig.ts";
import type { Channel } from "./channel.ts";
import type { ChannelCode } from "./message.ts";
import { createWebhookChannel } from "./webhook.ts";

/** Opens every channel that the environment has the means for. */
export function openChannels(config: NotificationConfig): ReadonlyMap<ChannelCode, Channel> {
  const channels: Channel[] = [];
  channels.push(createWebhookChannel(config.webhook));
  return new Map(channels.map((channel) => [channel.code, channel]));
}
