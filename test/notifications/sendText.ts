import { inspect } from "node:util";
import { expect } from "vitest";
import type { SendResult } from "../../src/notifications/channel.ts";
import type { SmsProvider } from "../../src/notifications/sms.ts";

export const PHONE = "+447400123456";
export const BODY = "Your book 'Emma' is now: delivered";

/** Sends one text, and makes sure that what comes back holds neither the number nor a secret nor the text. */
export async function sendText(
  provider: SmsProvider,
  secrets: readonly string[],
  to = PHONE,
): Promise<SendResult> {
  const result = await provider.send({ to, body: BODY }, new AbortController().signal);
  const shown = inspect(result, { depth: 9 });
  for (const secret of [to.slice(1), BODY, ...secrets]) expect(shown).not.toContain(secret);
  return result;
}
