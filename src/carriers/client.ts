import { isLookupError, LocalTrouble, type LookupError, NotFound, UsageError } from "../errors.ts";
import type { Secret } from "../secret.ts";
import { parseBaseUrl } from "./baseUrl.ts";
import type {
  CarrierAdapter,
  CarrierCall,
  CarrierRequest,
  CarrierResponse,
  Credentials,
  LookupResult,
  LookupSubject,
  Tracking,
} from "./carrier.ts";
import { evidenceOf } from "./evidence.ts";
import { createHttp, HTTP_LIMITS, type HttpLimits } from "./http.ts";
import { NotRegistered } from "./notRegistered.ts";
import { isBatchFault, isSuccess, readAnswer, refusalIn, tokenFailure } from "./readAnswer.ts";
import { createTokenSource } from "./tokenSource.ts";
import { checkTrackingNumber, normalizeTrackingNumber } from "./trackingNumber.ts";

export interface CarrierClientOptions {
  readonly credentials: Credentials;
  /** Instead of the adapter's own; https, or http on this machine. */
  readonly baseUrl?: string;
  /** The clock; the system's unless one is handed in. */
  readonly now?: () => Date;
  /** Milliseconds since any moment, that only go forward; how long a token has lived is counted in them. */
  readonly elapsedMs?: () => number;
  readonly limits?: Partial<HttpLimits>;
}

/** How one lookup is made. */
export interface LookupOptions {
  /** Breaks it off; that is a `local` outcome. */
  readonly signal?: AbortSignal;
  /**
   * Awaited before each request goes out, token and registration included: a
   * caller with a budget pays there. What it throws ends the lookup; a
   * LookupError as such, anything else as `local`.
   */
  readonly beforeRequest?: (kind: CarrierCall["kind"]) => Promise<void>;
}

/** One carrier's API, ready to be asked. One per process: it holds the token and the connections. */
export interface CarrierClient {
  readonly code: string;
  /** How many numbers one request may ask about. */
  readonly batchSize: number;
  /**
   * Asks the carrier about one number. Never throws. Takes at most four
   * requests, each with its own deadline: a token, the lookup, and where the
   * carrier refuses the token, both once more; an aggregator that must be told
   * of the parcel first gets one more.
   */
  lookUp(
    trackingNumber: string,
    options?: LookupOptions & {
      /** Who carries it, where the API answers for many; the API's own code unless said. */
      readonly carrierCode?: string;
    },
  ): Promise<LookupResult>;
  /**
   * Asks about 1 to `batchSize` parcels with one request; one result each, in
   * their order. Otherwise as `lookUp`. Where the carrier has refused to be
   * asked about many together, only the first is asked about, since a permit
   * pays for one request: the others end as `local`, to be asked about soon.
   */
  lookUpMany(
    subjects: readonly LookupSubject[],
    options?: LookupOptions,
  ): Promise<readonly LookupResult[]>;
  /** Breaks off what is under way and ends the connections. */
  close(): Promise<void>;
}

async function payNothing(): Promise<void> {}

/** @throws UsageError BAD_BASE_URL */
export function createCarrierClient(
  adapter: CarrierAdapter,
  options: CarrierClientOptions,
): CarrierClient {
  const { authentication, name } = adapter;
  const { credentials, baseUrl = adapter.baseUrl, now = () => new Date() } = options;
  const { elapsedMs = () => performance.now() } = options;
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

  /** Set by the first refusal of a batch as such, for this client's life: whoever mixes numbers will do so again. */
  let asksOneByOne = false;

  const tokens =
    authentication.kind === "oauth2"
      ? createTokenSource({ carrierName: name, ask: askForToken, elapsedMs })
      : null;

  async function askForToken(calls: CarrierCall[]): Promise<CarrierResponse> {
    if (authentication.kind !== "oauth2") throw new Error(`${adapter.code} has no tokens`);
    const response = await send("token", root, authentication.tokenRequest(credentials), calls);
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

  /** One answer to a lookup or a registration, and the credentials that went out with it. */
  async function ask(
    kind: "lookup" | "register",
    request: CarrierRequest,
    calls: CarrierCall[],
    { signal, beforeRequest = payNothing }: LookupOptions,
  ) {
    const sendWith = async (headers: Record<string, string>) => {
      await beforeRequest(kind);
      const authorized = { ...request, headers: { ...request.headers, ...headers } };
      return send(kind, prefix, authorized, calls, signal);
    };
    if (authentication.kind === "header" || tokens === null)
      return {
        response: await sendWith(
          authentication.kind === "header" ? authentication.headers(credentials) : {},
        ),
        token: null,
      };
    const bearer = (token: Secret) => ({ authorization: `Bearer ${token.reveal()}` });
    const asker = { beforeRequest: () => beforeRequest("token"), calls };
    const token = await tokens.token(asker, signal);
    const response = await sendWith(bearer(token));
    if (response.status !== 401) return { response, token };
    // Tokens are also withdrawn before their time. Once: a second refusal is about us.
    tokens.discard(token);
    const fresh = await tokens.token(asker, signal);
    return { response: await sendWith(bearer(fresh)), token: fresh };
  }

  function refuseImpossible(subject: LookupSubject): LookupSubject {
    const number = normalizeTrackingNumber(subject.trackingNumber);
    // Nothing else may reach a URL, whoever calls.
    const check = checkTrackingNumber("any", number);
    if (!check.ok)
      throw new LocalTrouble("IMPOSSIBLE_NUMBER", `${name} was not asked: ${check.rule}.`);
    return { ...subject, trackingNumber: number };
  }

  /** Tells the aggregator of a parcel, and gives what the lookup ends with for that. */
  async function register(
    subject: LookupSubject,
    calls: CarrierCall[],
    options: LookupOptions,
  ): Promise<LookupError> {
    try {
      const request = adapter.register?.(subject);
      if (request === undefined) throw new Error(`${adapter.code} cannot register parcels`);
      const { response } = await ask("register", request, calls, options);
      return (
        refusalIn(adapter, response) ??
        new NotFound("REGISTERED", `${name} has just been told of this parcel.`)
      );
    } catch (cause) {
      return toLookupError(cause);
    }
  }

  function toLookupError(cause: unknown): LookupError {
    if (isLookupError(cause)) return cause;
    return new LocalTrouble("CLIENT_BUG", `Asking ${name} failed in our own code.`, { cause });
  }

  async function lookUpMany(
    asked: readonly LookupSubject[],
    options: LookupOptions = {},
  ): Promise<readonly LookupResult[]> {
    const calls: CarrierCall[] = [];
    const ready = asked.map((subject) => checkSubject(subject, options.signal));
    const askable = ready.filter(
      (subject): subject is LookupSubject => !(subject instanceof Error),
    );
    const subjects = asksOneByOne ? askable.slice(0, 1) : askable;
    const answers = await askAbout(subjects, calls, options);
    return ready.map((subject, i) => {
      // One request for all: it is told once, with the first. So is a token, fetched for whoever came.
      const told = i === 0 ? calls : [];
      if (subject instanceof Error)
        return { kind: "failed", error: subject, calls: told, body: null };
      return { ...(answers.get(subject) ?? failed(notTogether())), calls: told };
    });
  }

  type Answer =
    | { readonly kind: "found"; readonly tracking: Tracking; readonly body: string | null }
    | { readonly kind: "failed"; readonly error: LookupError; readonly body: string | null };

  function failed(error: LookupError, body: string | null = null): Answer {
    return { kind: "failed", error, body };
  }

  /** One that cannot be asked about (no number, a carrier this API does not know) must not spoil the request of the others. */
  function checkSubject(
    subject: LookupSubject,
    signal: AbortSignal | undefined,
  ): LookupSubject | LookupError {
    try {
      if (signal?.aborted)
        throw new LocalTrouble("ABORTED", `${name} was not asked: we are stopping.`);
      const checked = refuseImpossible(subject);
      adapter.request([checked]);
      return checked;
    } catch (cause) {
      return toLookupError(cause);
    }
  }

  async function askAbout(
    subjects: readonly LookupSubject[],
    calls: CarrierCall[],
    options: LookupOptions,
  ): Promise<ReadonlyMap<LookupSubject, Answer>> {
    const answers = new Map<LookupSubject, Answer>();
    if (subjects.length === 0) return answers;
    try {
      const { response, token } = await ask("lookup", adapter.request(subjects), calls, options);
      const secrets = [...Object.values(credentials), ...(token === null ? [] : [token])];
      const body = evidenceOf(response.body, secrets);
      if (subjects.length > 1 && isBatchFault(adapter, response)) {
        asksOneByOne = true;
        throw notTogether();
      }
      for (const subject of subjects) {
        const end = endOf(response, subject);
        const told = end instanceof NotRegistered ? await register(subject, calls, options) : end;
        answers.set(
          subject,
          told instanceof Error ? failed(told, body) : { kind: "found", tracking: told, body },
        );
      }
    } catch (cause) {
      const error = toLookupError(cause);
      for (const subject of subjects) answers.set(subject, failed(error));
    }
    return answers;
  }

  function notTogether(): LookupError {
    return new LocalTrouble(
      "ASKED_TOGETHER",
      `${name} refuses to be asked about these numbers together, so they are asked about one at a time; set batch_size of ${adapter.code} in bookpost.carrier_apis to 1 to make that quicker.`,
    );
  }

  function endOf(response: CarrierResponse, subject: LookupSubject): Tracking | LookupError {
    try {
      return readAnswer(adapter, response, subject);
    } catch (cause) {
      return toLookupError(cause);
    }
  }

  async function lookUp(
    trackingNumber: string,
    options: LookupOptions & { readonly carrierCode?: string } = {},
  ): Promise<LookupResult> {
    const carrierCode = options.carrierCode ?? adapter.code;
    const [result] = await lookUpMany([{ trackingNumber, carrierCode }], options);
    return result as LookupResult;
  }

  return {
    code: adapter.code,
    batchSize: adapter.batchSize ?? 1,
    lookUp,
    lookUpMany,
    close: http.close,
  };
}
