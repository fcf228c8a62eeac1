import { setTimeout as sleep } from "node:timers/promises";
import type { SNSClient, SNSClientConfig } from "@aws-sdk/client-sns";
import { createHttp, HTTP_LIMITS, type Http, type HttpLimits } from "../carriers/http.ts";
import { isLookupError } from "../errors.ts";
import type { SmsConfig } from "../notificationConfig.ts";
import type { SendFailure, SendResult } from "./channel.ts";
import { exchangeFailure } from "./exchangeFailure.ts";
import type { SmsProvider } from "./sms.ts";

const REFUSES_US = "it refuses our credentials";

/**
 * The name of an error → how it ends, and why in our words: AWS's own name the number.
 * SNS API reference: "Publish", "CheckIfPhoneNumberIsOptedOut", "Common Errors". What is not listed goes by its status.
 */
const NAMES: Readonly<Record<string, readonly [SendFailure, string]>> = {
  AccessDenied: ["misconfigured", "our credentials may not do this"],
  AccessDeniedException: ["misconfigured", "our credentials may not do this"],
  AuthorizationErrorException: [
    "misconfigured",
    "our credentials may not do this; they need sns:Publish and sns:CheckIfPhoneNumberIsOptedOut",
  ],
  CredentialsProviderError: ["misconfigured", "no AWS credentials were found"],
  ExpiredToken: ["misconfigured", REFUSES_US],
  ExpiredTokenException: ["misconfigured", REFUSES_US],
  IncompleteSignature: ["misconfigured", REFUSES_US],
  InvalidClientTokenId: ["misconfigured", REFUSES_US],
  InvalidSecurityException: ["misconfigured", REFUSES_US],
  MissingAuthenticationToken: ["misconfigured", REFUSES_US],
  OptInRequired: ["misconfigured", "our account has not ordered this service"],
  SignatureDoesNotMatch: ["misconfigured", REFUSES_US],
  UnrecognizedClientException: ["misconfigured", REFUSES_US],
  InvalidParameterException: ["no_such_address", "the phone number is none that it sends to"],
  OptedOutException: ["opted_out", "the phone has answered STOP"],
  ThrottledException: ["rate_limited", "it asks us to slow down"],
  Throttling: ["rate_limited", "it asks us to slow down"],
  ThrottlingException: ["rate_limited", "it asks us to slow down"],
  TooManyRequestsException: ["rate_limited", "it asks us to slow down"],
};

const NO_SENSE: SendResult = {
  outcome: "unavailable",
  error: "AWS SNS: its answer makes no sense.",
};

/** The contract's 45 seconds, less one for whoever waits for us. */
const TOTAL_MS = 44_000;

/**
 * Amazon SNS, from `AWS_REGION` and the credentials that AWS's own library finds. It takes no idempotency key.
 * What goes to a phone that has answered STOP is taken by Publish, and dropped without a word; so we ask first.
 * @param limits for tests
 */
export function createSns(
  config: Extract<SmsConfig, { provider: "sns" }>,
  limits: HttpLimits = HTTP_LIMITS,
): SmsProvider {
  const http = createHttp({
    carrierName: "AWS SNS",
    limits,
    isPublic: false,
    now: () => new Date(),
  });
  // Large, and of use to few: loaded where it is configured, at the first text.
  let loading: Promise<typeof import("@aws-sdk/client-sns")> | undefined;
  let client: SNSClient | undefined;

  async function handOver(to: string, body: string, onPublish: () => void): Promise<SendResult> {
    loading ??= import("@aws-sdk/client-sns");
    const sns = await loading;
    client ??= new sns.SNSClient({
      region: config.region,
      ...(config.baseUrl && { endpoint: config.baseUrl }),
      // The queue tries again.
      maxAttempts: 1,
      requestHandler: handlerOf(http),
    });
    const { isOptedOut } = await client.send(
      new sns.CheckIfPhoneNumberIsOptedOutCommand({ phoneNumber: to }),
    );
    if (isOptedOut) return { outcome: "opted_out", error: "AWS SNS: the phone has answered STOP." };
    if (isOptedOut === undefined) return NO_SENSE;
    onPublish();
    const { MessageId } = await client.send(
      new sns.PublishCommand({
        PhoneNumber: to,
        Message: body,
        MessageAttributes: {
          "AWS.SNS.SMS.SMSType": { DataType: "String", StringValue: "Transactional" },
          ...(config.senderId && {
            "AWS.SNS.SMS.SenderID": { DataType: "String", StringValue: config.senderId },
          }),
        },
      }),
    );
    // "When a messageId is returned, the message is saved": API reference, Publish.
    return MessageId === undefined ? NO_SENSE : { outcome: "sent", providerId: MessageId };
  }

  return {
    async send({ to, body }, signal) {
      if (signal.aborted)
        return { outcome: "local", error: "The worker stops; nothing was handed to AWS SNS." };
      const ended = new AbortController();
      let isPublishing = false;
      const onPublish = () => {
        isPublishing = true;
      };
      // What looks for credentials keeps its own time.
      const late = sleep(TOTAL_MS, undefined, { signal: ended.signal, ref: false }).then(
        (): SendResult => ({
          outcome: isPublishing ? "unanswered" : "unavailable",
          error: "AWS SNS took too long.",
        }),
      );
      late.catch(() => {});
      try {
        return await Promise.race([handOver(to, body, onPublish), late]);
      } catch (error) {
        const failure = failureOf(error);
        if (isPublishing && isLookupError(error)) failure.outcome = exchangeFailure(error);
        return failure;
      } finally {
        ended.abort();
      }
    },
    async close() {
      client?.destroy();
      await http.close();
    },
  };
}

/** AWS's library asks through our client, so that its requests have our limits of time and size. */
function handlerOf(http: Http): NonNullable<SNSClientConfig["requestHandler"]> {
  return {
    metadata: { handlerProtocol: "http/1.1" },
    async handle(request: {
      readonly protocol: string;
      readonly hostname: string;
      readonly port?: number;
      readonly path: string;
      readonly headers: Record<string, string>;
      readonly body?: unknown;
    }) {
      const { protocol, hostname, port, path, headers, body } = request;
      const outcome = await http.send({
        kind: "lookup",
        method: "POST",
        url: `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}`,
        headers,
        body: typeof body === "string" ? body : Buffer.from(body as Uint8Array).toString(),
      });
      if ("error" in outcome) throw outcome.error;
      const { status, headers: answered, body: text } = outcome.response;
      return { response: { statusCode: status, headers: answered, body: Buffer.from(text) } };
    },
  };
}

function failureOf(error: unknown): { outcome: SendFailure; error: string } {
  if (isLookupError(error))
    return { outcome: error.outcome === "local" ? "local" : "unavailable", error: error.message };
  const { name, message, $metadata } = error as Error & {
    $metadata?: { httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? null;
  // "Invalid parameter: PhoneNumber Reason: …": the same error stands for every other parameter.
  const isOther = name === "InvalidParameterException" && !/phone ?number/i.test(message);
  const [outcome, why] = (isOther ? undefined : NAMES[name]) ?? byStatus(status);
  return {
    outcome,
    error: `AWS SNS: ${why} (${status === null ? "" : `HTTP ${status}, `}${name}).`,
  };
}

function byStatus(status: number | null): readonly [SendFailure, string] {
  if (status === 429) return ["rate_limited", "it asks us to slow down"];
  if (status === 401 || status === 403) return ["misconfigured", REFUSES_US];
  if (status !== null && status >= 400 && status < 500)
    return ["refused", "it does not take this message"];
  return ["unavailable", "it is out of order"];
}
