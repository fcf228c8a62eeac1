import {
  isLookupError,
  LocalTrouble,
  type LookupError,
  type LookupFailure,
  Malformed,
  NotFound,
  OutOfQuota,
  RateLimited,
  Rejected,
  Unavailable,
} from "../errors.ts";
import type { CarrierAdapter, CarrierResponse, LookupSubject, Tracking } from "./carrier.ts";
import { readXml } from "./readXml.ts";
import { readRetryAfter } from "./retryAfter.ts";

/**
 * What an answer to a lookup says: the shared road of all adapters, from the
 * HTTP status over the carrier's own error code and its schema to `parse`.
 * @throws LookupError always of one of our classes; a bug in `parse` becomes Malformed PARSE_BUG
 */
export function readAnswer<Reply>(
  adapter: CarrierAdapter<Reply>,
  response: CarrierResponse,
  subject: LookupSubject,
): Tracking {
  try {
    const { body, error } = decode(adapter, response.body);
    const carrierCode = adapter.errorCode?.(body) ?? null;
    if (!isSuccess(response) || carrierCode !== null)
      throw failureOf(adapter, response, carrierCode);
    if (error !== null)
      throw new Malformed(
        adapter.format === "xml" ? "NOT_XML" : "NOT_JSON",
        `${adapter.name} answered with something that is not ${adapter.format === "xml" ? "XML" : "JSON"}.`,
        { cause: error },
      );
    const parsed = adapter.reply.safeParse(body);
    if (!parsed.success) {
      const where = parsed.error.issues[0]?.path.join(".") || "the whole";
      throw new Malformed(
        "WRONG_SHAPE",
        `${adapter.name}'s answer is not of the documented shape (first at ${where}).`,
        { cause: parsed.error },
      );
    }
    return adapter.parse(parsed.data, subject);
  } catch (cause) {
    if (isLookupError(cause)) throw cause;
    throw new Malformed("PARSE_BUG", `${adapter.name}'s answer made our reader fail.`, { cause });
  }
}

/** Why an answer that is not about a parcel (a registration) is a refusal; null where it is none. */
export function refusalIn(adapter: CarrierAdapter, response: CarrierResponse): LookupError | null {
  const carrierCode = adapter.errorCode?.(decode(adapter, response.body).body) ?? null;
  if (isSuccess(response) && carrierCode === null) return null;
  return failureOf(adapter, response, carrierCode);
}

/** Whether an answer to a request about many numbers says nothing of any of them, but that they were asked about together. */
export function isBatchFault(adapter: CarrierAdapter, response: CarrierResponse): boolean {
  const carrierCode = adapter.errorCode?.(decode(adapter, response.body).body) ?? null;
  return carrierCode !== null && (adapter.batchFaults ?? []).includes(carrierCode);
}

type Named = Pick<CarrierAdapter, "code" | "name" | "credentials" | "outcomes" | "resetHeader">;

function failureOf(
  adapter: Named,
  response: CarrierResponse,
  carrierCode: string | null,
): LookupError {
  const outcomes = adapter.outcomes ?? {};
  const known =
    carrierCode !== null && Object.hasOwn(outcomes, carrierCode) ? outcomes[carrierCode] : null;
  return failure(adapter, response, known ?? outcomeOf(response.status), carrierCode);
}

/**
 * What a refused token request means. There is no number it could be about, so
 * every 4xx but 429 says that our credentials or our base URL are wrong.
 */
export function tokenFailure(adapter: CarrierAdapter, response: CarrierResponse): LookupError {
  const carrierCode = adapter.errorCode?.(decode(adapter, response.body).body) ?? null;
  const throttle =
    adapter.authentication.kind === "oauth2" ? adapter.authentication.throttle : undefined;
  if (throttle?.statuses.includes(response.status))
    return new RateLimited(
      `TOKEN_HTTP_${response.status}`,
      `${adapter.name}'s token service asks us to slow down (HTTP ${response.status}).`,
      { retryAt: new Date(response.receivedAt.getTime() + throttle.waitMs) },
    );
  const outcome = outcomeOf(response.status);
  return failure(adapter, response, outcome === "not_found" ? "rejected" : outcome, carrierCode);
}

function failure(
  adapter: Named,
  response: CarrierResponse,
  outcome: LookupFailure,
  carrierCode: string | null,
): LookupError {
  const { status } = response;
  const isUsable = carrierCode !== null && /^[\w.-]{1,40}$/.test(carrierCode);
  const code = isUsable ? carrierCode : `HTTP_${status}`;
  const said = isUsable ? `HTTP ${status}, code ${carrierCode}` : `HTTP ${status}`;
  // It stands in every answer, and is about nothing but the rate.
  const resetHeader = outcome === "rate_limited" ? adapter.resetHeader : undefined;
  const options = MAY_WAIT.has(outcome) ? { retryAt: readRetryAfter(response, resetHeader) } : {};
  return new CLASSES[outcome](code, `${SENTENCES[outcome](adapter)} (${said}).`, options);
}

export function isSuccess({ status }: CarrierResponse): boolean {
  return status >= 200 && status < 300;
}

/**
 * A redirect is never followed (it could lead inside our own network), and no
 * tracking API documents one: a person must look, so it is malformed. So is an
 * error inside a success.
 */
function outcomeOf(status: number): LookupFailure {
  if (status < 400) return "malformed";
  if (status === 404) return "not_found";
  if (status === 429) return "rate_limited";
  // 408: the carrier, or something before it, did not get our request in time.
  return status >= 500 || status === 408 ? "unavailable" : "rejected";
}

const CLASSES = {
  not_found: NotFound,
  unavailable: Unavailable,
  malformed: Malformed,
  rate_limited: RateLimited,
  rejected: Rejected,
  out_of_quota: OutOfQuota,
  local: LocalTrouble,
} satisfies Record<
  LookupFailure,
  new (
    ...args: ConstructorParameters<typeof Malformed>
  ) => LookupError
>;

const MAY_WAIT: ReadonlySet<LookupFailure> = new Set([
  "rate_limited",
  "out_of_quota",
  "unavailable",
]);

const SENTENCES: Record<LookupFailure, (adapter: Named) => string> = {
  not_found: ({ name }) => `${name} does not know this number (yet)`,
  unavailable: ({ name }) => `${name} is in trouble`,
  malformed: ({ name }) => `${name} sent something other than a tracking answer`,
  rate_limited: ({ name }) => `${name} asks us to slow down`,
  rejected: ({ name, code, credentials }) =>
    `${name} refuses our request; check ${Object.keys(credentials)
      .map((suffix) => `${code.toUpperCase()}_${suffix}`)
      .join(" and ")}`,
  out_of_quota: ({ name }) => `The allowance at ${name} is spent`,
  local: ({ name }) => `${name} could not be asked`,
};

function decode(
  { format }: Pick<CarrierAdapter, "format">,
  text: string,
): { readonly body: unknown; readonly error: unknown } {
  try {
    return { body: format === "xml" ? readXml(text) : JSON.parse(text), error: null };
  } catch (error) {
    return { body: undefined, error };
  }
}
