import { z } from "zod";
import { LocalTrouble, Malformed, NotAsked } from "../errors.ts";
import { Secret } from "../secret.ts";
import type { CarrierCall, CarrierResponse } from "./carrier.ts";

/** A header value of visible ASCII: anything else could not be sent, or would end the header. */
const reply = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]{1,8192}$/),
  // RFC 6749, section 5.1: a number, and recommended only. UPS sends a text.
  expires_in: z.coerce.number().positive().finite().optional(),
});

/** What a token without `expires_in` is good for. Chosen: short, since a token used too long costs a refused call. */
const UNSTATED_LIFE_S = 300;

/** Refreshed at most this long before it ends: far more than a request takes. Chosen; and never more than a tenth of its life. */
const LONGEST_MARGIN_MS = 5 * 60_000;

/** Chosen: by then the one whose request it was has reported, and the database knows whether to go on. */
const RETRY_MS = 1_000;

/** Who asks for a token: it pays for the request, and is told of it. */
export interface TokenAsker {
  readonly beforeRequest: () => Promise<void>;
  readonly calls: CarrierCall[];
}

export interface TokenSource {
  /**
   * A token that is good now. However many ask at once, one request goes out, and `beforeRequest` of the one who
   * came first is asked before it.
   * @throws LookupError what the token request ended with, for the one who came first; NotAsked for the others;
   *   LocalTrouble where `signal` fires first
   */
  token(asker: TokenAsker, signal?: AbortSignal): Promise<Secret>;
  /** The carrier refused `token` although it should be good: the next asker gets a new one. */
  discard(token: Secret): void;
}

/**
 * Keeps one OAuth2 token for everybody.
 * @param options.ask sends the token request; throws a LookupError unless the answer is a 2xx
 */
export function createTokenSource(options: {
  readonly carrierName: string;
  readonly ask: (calls: CarrierCall[]) => Promise<CarrierResponse>;
  /** Milliseconds that only go forward: a wall clock that is put back would keep a dead token alive. */
  readonly elapsedMs: () => number;
}): TokenSource {
  let current: { readonly token: Secret; readonly refreshAtMs: number } | null = null;
  let flight: Promise<Secret> | null = null;

  async function fetchToken({ beforeRequest, calls }: TokenAsker): Promise<Secret> {
    await beforeRequest();
    const askedAtMs = options.elapsedMs();
    const response = await options.ask(calls);
    const parsed = reply.safeParse(parseJson(response.body));
    if (!parsed.success)
      throw new Malformed(
        "BAD_TOKEN_REPLY",
        `${options.carrierName} answered the token request without a usable token.`,
      );
    const { access_token, expires_in = UNSTATED_LIFE_S } = parsed.data;
    const lifeMs = expires_in * 1_000;
    const marginMs = Math.min(lifeMs / 10, LONGEST_MARGIN_MS);
    // Jitter: processes that started together do not all refresh in the same second.
    const earlyMs = marginMs * (1 + Math.random());
    const token = new Secret(access_token);
    current = { token, refreshAtMs: askedAtMs + lifeMs - earlyMs };
    return token;
  }

  return {
    async token(asker, signal) {
      if (current !== null && options.elapsedMs() < current.refreshAtMs) return current.token;
      // Another's request: what it ends with is for that one to report. Here nothing failed and nobody was refused.
      if (flight !== null) {
        const shared = flight.catch(() => {
          throw new NotAsked("no_token", RETRY_MS);
        });
        return unlessAborted(shared, signal, options.carrierName);
      }
      flight = fetchToken(asker).finally(() => {
        flight = null;
      });
      return unlessAborted(flight, signal, options.carrierName);
    },
    discard(token) {
      if (current?.token === token) current = null;
    },
  };
}

/** One waiter's end must not end the request that others wait for. */
async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  carrierName: string,
): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () =>
    reject(new LocalTrouble("ABORTED", `We broke off asking ${carrierName} for a token.`));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
