import { isLookupError, LocalTrouble, UsageError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { parseBaseUrl } from "./baseUrl.ts";
import type {
  CarrierAdapter,
  CarrierCall,
  CarrierRequest,
  CarrierResponse,
  Credentials,
  LookupResult,
} from "./carrier.ts";
import { evidenceOf } from "./evidence.ts";
import { createHttp, HTTP_LIMITS, type HttpLimits } from "./http.ts";
import { isSuccess, readAnswer, tokenFailure } from "./readAnswer.ts";
import { createTokenSource } from "./tokenSource.ts";
import { checkTrackingNumber, normalizeTrackingNumber } from "./trackingNumber.ts";

export interface CarrierClientOptions {
  readonly credentials: Credentials;
  /** Instead of the adapter's own; https, or http on this machine. */
  readonly baseUrl?: string;
  /** The clock; the system's unless one is handed in. */
  readonly now?: () => Date;
  readonly limits?: Partial<HttpLimits>;
}

/** One carrier's API, ready to be asked. One per process: it holds the token and the connections. */
export interface CarrierClient {
  readonly code: string;
  /**
   * Asks the carrier about one number. Never throws. Takes at most four
   * requests, each with its own deadline: a token, the lookup, and where the
   * carrier refuses the token, both once more. `signal` breaks it off; that is
   * a `local` outcome.
   */
  lookUp(
    trackingNumber: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<LookupResult>;
  /** Breaks off what is under way and ends the connections. */
  close(): Promise<void>;
}

/** @throws UsageError BAD_BASE_URL */
export function createCarrierClient(
  adapter: CarrierAdapter,
  options: CarrierClientOptions,
): CarrierClient {
  const { authentication, name } = adapter;
  const { credentials, baseUrl = adapter.baseUrl, now = () => new Date() } = options;
  const base = parseBaseUrl(baseUrl);
  if (base === null)
    throw new UsageError(
      "BAD_BASE_URL",
      `"${baseUrl}" is no base URL for ${name}: it must be https without user, query or fragment (http only for localhost).`,
    );
  const root = base.origin;
  const prefix = root + base.pathname.replace(/\/+$/, "");
  const http = createHttp({
    carrierName: name,
    limits: { ...HTTP_LIMITS, ...options.limits },
    isPublic: base.host === new URL(adapter.baseUrl).host,
    now,
  });

  /** A token is fetched for everybody, so whichever lookup ends next reports the call. */
  const tokenCalls: CarrierCall[] = [];
  const tokens =
    authentication.kind === "oauth2"
      ? createTokenSource({ carrierName: name, ask: askForToken, now })
      : null;

  async function askForToken(): Promise<CarrierResponse> {
    if (authentication.kind !== "oauth2") throw new Error(`${adapter.code} has no tokens`);
    const response = await send(
      "token",
      root,
      authentication.tokenRequest(credentials),
      tokenCalls,
    );
    if (!isSuccess(response)) throw tokenFailure(adapter, response);
    return response;
  }

  async function send(
    kind: CarrierCall["kind"],
    start: string,
    request: CarrierRequest,
    calls: CarrierCall[],
    signal?: AbortSignal,
  ): Promise<CarrierResponse> {
    const outcome = await http.send(
      {
        kind,
        method: request.method,
        url: start + request.path,
        headers: request.headers ?? {},
        body: request.body,
      },
      signal,
    );
    calls.push(outcome.call);
    if ("error" in outcome) throw outcome.error;
    return outcome.response;
  }

  /** One lookup's answer, and the credentials that went out with it. */
  async function ask(number: string, calls: CarrierCall[], signal: AbortSignal | undefined) {
    const sendWith = (headers: Record<string, string>) => {
      const request = adapter.request(number);
      const authorized = { ...request, headers: { ...request.headers, ...headers } };
      return send("lookup", prefix, authorized, calls, signal);
    };
    if (authentication.kind === "header" || tokens === null)
      return {
        response: await sendWith(
          authentication.kind === "header" ? authentication.headers(credentials) : {},
        ),
        token: null,
      };
    const bearer = (token: Secret) => ({ authorization: `Bearer ${token.reveal()}` });
    const token = await tokens.token(signal);
    const response = await sendWith(bearer(token));
    if (response.status !== 401) return { response, token };
    // Tokens are also withdrawn before their time. Once: a second refusal is about us.
    tokens.discard(token);
    const fresh = await tokens.token(signal);
    return { response: await sendWith(bearer(fresh)), token: fresh };
  }

  async function lookUp(
    trackingNumber: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<LookupResult> {
    const lookupCalls: CarrierCall[] = [];
    let body: string | null = null;
    const end = () => ({ calls: [...tokenCalls.splice(0), ...lookupCalls], body });
    try {
      if (signal?.aborted)
        throw new LocalTrouble("ABORTED", `${name} was not asked: we are stopping.`);
      const number = normalizeTrackingNumber(trackingNumber);
      // Nothing else may reach a URL, whoever calls.
      const check = checkTrackingNumber("any", number);
      if (!check.ok)
        throw new LocalTrouble("IMPOSSIBLE_NUMBER", `${name} was not asked: ${check.rule}.`);
      const { response, token } = await ask(number, lookupCalls, signal);
      const secrets = [...Object.values(credentials), ...(token === null ? [] : [token])];
      body = evidenceOf(response.body, secrets);
      const tracking = readAnswer(adapter, response, number);
      return { kind: "found", tracking, ...end() };
    } catch (cause) {
      const error = isLookupError(cause)
        ? cause
        : new LocalTrouble("CLIENT_BUG", `Asking ${name} failed in our own code.`, { cause });
      return { kind: "failed", error, ...end() };
    }
  }

  return { code: adapter.code, lookUp, close: http.close };
}
