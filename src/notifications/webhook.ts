import type { BlockList } from "node:net";
import { Webhook } from "standardwebhooks";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { readRetryAfter } from "../carriers/retryAfter.ts";
import type { Channel, SendFailure, SendResult } from "./channel.ts";
import { webhookBody } from "./webhookEvent.ts";
import { createWebhookGuard, EndpointRefused, type Lookup } from "./webhookGuard.ts";

/** Milliseconds. */
export interface WebhookLimits {
  readonly connectTimeoutMs: number;
  /** From the first byte out to the last one read. Standard Webhooks advises 15 to 30 seconds. */
  readonly totalTimeoutMs: number;
}

/** Chosen, within the 45 seconds that a channel may take. */
const LIMITS: WebhookLimits = { connectTimeoutMs: 5_000, totalTimeoutMs: 20_000 };

/** Of an answer; it is thrown away. Chosen: whoever sends more is cut off. */
const MOST_ANSWER_BYTES = 64 * 1024;

/** Chosen: a name server that does not answer now is asked again in a minute. It may be the endpoint's own, and be silent for days. */
const LOCAL_RETRY_MS = 60_000;

/** Trouble of our own side: it says nothing of the endpoint. */
const LOCAL: Readonly<Record<string, string>> = {
  EAI_AGAIN: "no name server answered",
  ENETUNREACH: "this machine has no route to it",
  ENETDOWN: "this machine's network is down",
  EMFILE: "this process has too many open files",
  ENFILE: "this machine has too many open files",
  EADDRNOTAVAIL: "this machine has no free port",
  UND_ERR_CLOSED: "we are shutting down",
  UND_ERR_DESTROYED: "we are shutting down",
};

/** For the sentence only: what is not listed above is the endpoint's trouble. */
const THEIRS: Readonly<Record<string, string>> = {
  ENOTFOUND: "its name does not exist",
  ECONNREFUSED: "it refused the connection",
  ECONNRESET: "it broke off the connection",
  EPIPE: "it broke off the connection",
  UND_ERR_SOCKET: "it broke off the connection",
  ETIMEDOUT: "the connection could not be made in time",
  UND_ERR_CONNECT_TIMEOUT: "the connection could not be made in time",
  EHOSTUNREACH: "its machine is not there",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is vouched for by nobody",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is vouched for by nobody",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate's chain is not complete",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

/**
 * Messages to apps, in the Standard Webhooks form: POST, JSON, signed with each
 * secret that counts, `webhook-id` the delivery's id. Only a 2xx is taken for
 * received; redirects are not followed; proxies of the environment are not used.
 * @param options.lookup left out: the system's own resolver
 */
export function createWebhookChannel(options: {
  readonly allowedNetworks: BlockList;
  readonly limits?: WebhookLimits;
  readonly lookup?: Lookup;
  readonly now?: () => Date;
}): Channel {
  const { allowedNetworks, limits = LIMITS, now = () => new Date() } = options;
  const guard = createWebhookGuard(allowedNetworks, options.lookup);
  const connectorFor = (protocol: string) =>
    buildConnector({
      timeout: limits.connectTimeoutMs,
      lookup: guard.lookupFor(protocol),
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says: the certificate is what tells a stranger from the endpoint.
      rejectUnauthorized: true,
    });
  const connectors: Readonly<Record<string, buildConnector.connector>> = {
    "https:": connectorFor("https:"),
    "http:": connectorFor("http:"),
  };
  const agent = new Agent({
    // Each message makes a connection of its own. One that is kept could be closed by the other side at the moment
    // in which the next message goes out, and that would count as its failure.
    pipelining: 0,
    connect(target, callback) {
      // No name, so no lookup: an address that stands in the URL itself is looked at here.
      const refusal = guard.why(target);
      const connect = connectors[target.protocol];
      if (refusal !== null || connect === undefined) callback(refusal ?? new Error(), null);
      else connect(target, callback);
    },
  });

  return {
    code: "webhook",
    async send(message, signal) {
      const { endpoint } = message;
      const secrets = endpoint?.secrets ?? [];
      const url = URL.parse(endpoint?.url ?? "");
      if (url === null || url.username !== "" || url.password !== "")
        return failure("refused", "its address is none that can be asked");
      const refusal = guard.why(url);
      if (refusal !== null) return failure("refused", refusal.message);
      if (secrets.length === 0)
        return failure("misconfigured", "it has no secret; bookpost webhook rotate makes one");
      const body = webhookBody(message);
      const sentAt = now();
      const timeout = AbortSignal.timeout(limits.totalTimeoutMs);
      const deadline = AbortSignal.any([signal, timeout]);
      try {
        const answer = await agent.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method: "POST",
          headers: {
            "content-type": "application/json",
            "user-agent": "bookpost",
            "webhook-id": message.id,
            "webhook-timestamp": String(Math.floor(sentAt.getTime() / 1_000)),
            "webhook-signature": secrets
              .map((secret) => new Webhook(secret).sign(message.id, sentAt, body))
              .join(" "),
          },
          body,
          signal: deadline,
        });
        const receivedAt = now();
        // The status has said all; how the rest ends changes nothing.
        await answer.body.dump({ limit: MOST_ANSWER_BYTES, signal: deadline }).catch(() => {});
        return judge(answer, receivedAt);
      } catch (error) {
        // Broken off in the middle it may have arrived; then it comes again, under the same id.
        if (signal.aborted) return failure("local", "we are shutting down");
        if (timeout.aborted)
          return failure("unavailable", `no answer within ${limits.totalTimeoutMs / 1_000} s`);
        return sortError(error);
      }
    },
    close: () => agent.destroy(),
  };
}

/** Standard Webhooks: 2xx is received, 410 means never again, everything else is tried again. */
function judge({ statusCode, headers }: Dispatcher.ResponseData, receivedAt: Date): SendResult {
  if (statusCode >= 200 && statusCode < 300) return { outcome: "sent", providerId: null };
  const answered = `it answered ${statusCode}`;
  if (statusCode === 410) return failure("gone", answered);
  if (statusCode >= 300 && statusCode < 400)
    return failure(
      "deferred",
      `${answered}, and redirects are not followed: register the address it leads to`,
    );
  if (statusCode < 500 && statusCode !== 429) return failure("deferred", answered);
  const retryAt = readRetryAfter({
    headers: { "retry-after": first(headers["retry-after"]), date: first(headers.date) },
    receivedAt,
  });
  return failure(
    statusCode === 429 ? "rate_limited" : "unavailable",
    answered,
    retryAt && retryAt.getTime() - receivedAt.getTime(),
  );
}

function first(header: string | string[] | undefined): string {
  return [header].flat()[0] ?? "";
}

/** Where several addresses were tried, it is our trouble only if it is ours for each of them. */
function sortError(error: unknown): SendResult {
  if (error instanceof EndpointRefused) return failure("refused", error.message);
  const codes = codesOf(error);
  const theirs = codes.find((code) => !Object.hasOwn(LOCAL, code));
  const [code = "NOT_HTTP"] = theirs === undefined ? codes : [theirs];
  if (theirs === undefined && codes.length > 0)
    return failure("local", `${LOCAL[code]} (${code})`, LOCAL_RETRY_MS);
  return failure("unavailable", `${THEIRS[code] ?? "the exchange failed"} (${code})`);
}

/** Node gathers the failures of several addresses in one AggregateError. */
function codesOf(error: unknown): string[] {
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.flatMap(codesOf);
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? [code] : [];
}

function failure(
  outcome: SendFailure,
  why: string,
  retryAfterMs: number | null = null,
): SendResult {
  return { outcome, error: `The endpoint could not be told: ${why}.`, retryAfterMs };
}
