import { z } from "zod";
import { createHttp, HTTP_LIMITS, type HttpLimits, type HttpOutcome } from "../carriers/http.ts";
import { readRetryAfter } from "../carriers/retryAfter.ts";
import type { SmsConfig } from "../notificationConfig.ts";
import type { SendFailure, SendResult } from "./channel.ts";
import { exchangeFailure } from "./exchangeFailure.ts";
import type { SmsProvider } from "./sms.ts";

/** A page of Twilio's for each code: what it is and what to do. */
const ERRORS = "https://www.twilio.com/docs/api/errors/";

/**
 * Twilio's code → how it ends, and why in our words: Twilio's own name the number. What is not listed goes by its
 * HTTP status, since Twilio keeps splitting codes (changelog of 10 July 2024). What one destination brings about is
 * refused and never misconfigured, which would hold everybody's texts back for one person's number.
 */
const CODES: Readonly<Record<number, readonly [SendFailure, string]>> = {
  20003: ["misconfigured", "it refuses our account SID or auth token"],
  20429: ["rate_limited", "it asks us to slow down"],
  21211: ["no_such_address", "the phone number is none"],
  21212: ["misconfigured", "the sender is none"],
  21265: ["no_such_address", "the phone number is a short code"],
  21408: ["refused", "our account may not send to this country"],
  21601: ["misconfigured", "the sender is no number of our account's"],
  21606: ["misconfigured", "the sender cannot send texts"],
  21608: ["refused", "a trial account may send to verified numbers only"],
  21610: ["opted_out", "the phone has answered STOP"],
  21611: ["rate_limited", "ten hours of messages wait for this sender already"],
  21612: ["refused", "this sender does not reach this phone"],
  21614: ["no_such_address", "the phone number is not one of a mobile phone"],
  21617: ["refused", "the text is too long"],
  21635: ["no_such_address", "the phone number is one of a landline"],
  21659: [
    "misconfigured",
    "the sender is no number of Twilio's, or a short code of another country",
  ],
  21660: ["misconfigured", "the sender belongs to another account"],
  21661: ["misconfigured", "the sender cannot send texts"],
  30006: [
    "no_such_address",
    "the phone number is one of a landline, or its network is not reached",
  ],
  63038: ["rate_limited", "our account has sent all that it may in a day"],
};

const STATUSES: Readonly<Record<number, readonly [SendFailure, string]>> = {
  401: ["misconfigured", "it refuses our account SID or auth token"],
  403: ["misconfigured", "our account may not do this"],
  404: ["misconfigured", "it does not know our account SID"],
  429: ["rate_limited", "it asks us to slow down"],
};

const answerSchema = z.object({ sid: z.string().max(64) });
const errorSchema = z.object({ code: z.int() });

/**
 * Twilio's Messages resource (2010-04-01). It takes no idempotency key.
 * @param limits for tests
 */
export function createTwilio(
  config: Extract<SmsConfig, { provider: "twilio" }>,
  limits: HttpLimits = HTTP_LIMITS,
): SmsProvider {
  const { accountSid, authToken, from, baseUrl } = config;
  const http = createHttp({
    carrierName: "Twilio",
    limits,
    isPublic: false,
    now: () => new Date(),
  });
  const sender = from.startsWith("MG") && from.length === 34 ? "MessagingServiceSid" : "From";
  return {
    async send({ to, body }, signal) {
      // Once it is on its way it is not called back: it would be sent, and then sent again.
      if (signal.aborted)
        return { outcome: "local", error: "The worker stops; nothing was handed to Twilio." };
      return resultOf(
        await http.send({
          kind: "lookup",
          method: "POST",
          url: `${baseUrl}/2010-04-01/Accounts/${accountSid}/Messages.json`,
          headers: {
            authorization: `Basic ${Buffer.from(`${accountSid}:${authToken.reveal()}`).toString("base64")}`,
            "content-type": "application/x-www-form-urlencoded",
          },
          body: new URLSearchParams({ To: to, [sender]: from, Body: body }).toString(),
        }),
      );
    },
    close: () => http.close(),
  };
}

function resultOf(outcome: HttpOutcome): SendResult {
  // Created: Twilio has it, even where its answer was cut short afterwards.
  if (outcome.call.httpStatus === 201) {
    const body = "response" in outcome ? read(answerSchema, outcome.response.body) : null;
    return { outcome: "sent", providerId: body?.sid ?? null };
  }
  if ("error" in outcome) {
    const { error } = outcome;
    return {
      outcome: exchangeFailure(error),
      error: error.message,
    };
  }
  const { response } = outcome;
  const { status } = response;
  const code = read(errorSchema, response.body)?.code ?? null;
  const [failure, why] = (code === null || status >= 500 ? undefined : CODES[code]) ??
    STATUSES[status] ?? [
      status >= 400 && status < 500 ? "refused" : "unavailable",
      status >= 400 && status < 500 ? "it does not take this message" : "it is out of order",
    ];
  const retryAt = readRetryAfter(response);
  return {
    outcome: failure,
    error: `Twilio: ${why} (HTTP ${status}${code === null ? "" : `, ${ERRORS}${code}`}).`,
    retryAfterMs: retryAt === null ? null : retryAt.getTime() - response.receivedAt.getTime(),
  };
}

/** Null for what is not JSON or not of this shape. */
function read<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
