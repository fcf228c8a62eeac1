import type { SmsConfig } from "../notificationConfig.ts";
import type { Channel, SendResult } from "./channel.ts";
import { whyNotTextable } from "./phone.ts";
import { createSns } from "./sns.ts";
import { smsOf } from "./templates/sms.ts";
import { createTwilio } from "./twilio.ts";

/** A service that sends texts. */
export interface SmsProvider {
  /** Hands one text over, once: no retries, 45 seconds at most. Never throws for trouble of the other side. */
  send(text: SmsText, signal: AbortSignal): Promise<SendResult>;
  close(): Promise<void>;
}

export interface SmsText {
  /** E.164 */
  readonly to: string;
  readonly body: string;
}

/**
 * Text messages. Neither provider takes an idempotency key for them, so an
 * attempt that a crash has broken off is made again, and its text may arrive twice.
 */
export function createSms(config: SmsConfig): Channel {
  const provider: SmsProvider =
    config.provider === "twilio" ? createTwilio(config) : createSns(config);
  return {
    code: "sms",
    async send(message, signal) {
      const { person } = message;
      const to = person?.phoneNumber ?? null;
      if (person === null || to === null)
        return { outcome: "refused", error: "The person has no phone number." };
      const reason = whyNotTextable(to, config.countries);
      if (reason !== null) return { outcome: "refused", error: reason };
      return provider.send({ to, body: smsOf({ ...message, person }) }, signal);
    },
    close: () => provider.close(),
  };
}
