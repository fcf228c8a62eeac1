import { Agent } from "undici";
import { LocalTrouble, type LookupError, Unavailable } from "../errors.ts";
import type { CarrierCall, CarrierResponse } from "./carrier.ts";
import { publicLookup } from "./publicLookup.ts";
import { ACCEPT_ENCODING, readBody } from "./readBody.ts";
import { sortNetworkError } from "./sortNetworkError.ts";

/** The limits of one request. Chosen; revisit when a carrier is slow and right. */
export interface HttpLimits {
  readonly connectTimeoutMs: number;
  /** From the first byte out to the last byte in. A library's own timeouts measure gaps, and a trickle has none. */
  readonly totalTimeoutMs: number;
  /** On the wire and, apart from that, after decompression. */
  readonly maxBodyBytes: number;
}

export const HTTP_LIMITS: HttpLimits = {
  connectTimeoutMs: 5_000,
  totalTimeoutMs: 20_000,
  maxBodyBytes: 2 * 1024 * 1024,
};

export interface HttpRequest {
  readonly kind: CarrierCall["kind"];
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** What became of one request: always a call for the budget, and an answer or a reason. */
export type HttpOutcome = { readonly call: CarrierCall } & (
  | { readonly response: CarrierResponse }
  | { readonly error: LookupError }
);

export interface Http {
  /** One request, never repeated and never redirected. Does not throw. */
  send(request: HttpRequest, signal?: AbortSignal): Promise<HttpOutcome>;
  /** Ends idle connections and those still busy. */
  close(): Promise<void>;
}

/**
 * An HTTP client for one carrier. It has an agent of its own, so neither the
 * environment's proxy settings nor another carrier's connections touch it.
 * @param options.isPublic the host is the carrier's own: private addresses are refused
 */
export function createHttp(options: {
  readonly carrierName: string;
  readonly limits: HttpLimits;
  readonly isPublic: boolean;
  readonly now: () => Date;
}): Http {
  const { carrierName, limits, now } = options;
  const agent = new Agent({
    connect: {
      timeout: limits.connectTimeoutMs,
      ...(options.isPublic ? { lookup: publicLookup } : {}),
    },
  });

  async function send(request: HttpRequest, signal?: AbortSignal): Promise<HttpOutcome> {
    const startedAt = now();
    const startedMs = performance.now();
    const call = (httpStatus: number | null): CarrierCall => ({
      kind: request.kind,
      httpStatus,
      startedAt,
      durationMs: performance.now() - startedMs,
    });
    const deadline = withDeadline(limits.totalTimeoutMs, signal);
    let status: number | null = null;
    try {
      const url = new URL(request.url);
      const answer = await agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: {
          accept: "application/json",
          "accept-encoding": ACCEPT_ENCODING,
          "user-agent": "bookpost",
          ...request.headers,
        },
        body: request.body ?? null,
        signal: deadline.signal,
      });
      status = answer.statusCode;
      const receivedAt = now();
      const headers = joinHeaders(answer.headers);
      const { bytes, problem } = await readBody(
        answer.body,
        headers["content-encoding"],
        limits.maxBodyBytes,
      );
      // An error's status says what we need to know, however its body ended.
      if (problem !== null && status < 300) throw problem;
      const body = decode(bytes, headers["content-type"]);
      return { call: call(status), response: { status, headers, body, receivedAt } };
    } catch (cause) {
      return { call: call(status), error: sort(cause, deadline) };
    } finally {
      deadline.clear();
    }
  }

  function sort(cause: unknown, deadline: Deadline): LookupError {
    if (deadline.endedBy === "caller")
      return new LocalTrouble("ABORTED", `We broke off asking ${carrierName}.`, { cause });
    if (deadline.endedBy === "time")
      return new Unavailable(
        "TIMEOUT",
        `${carrierName} gave no complete answer within ${limits.totalTimeoutMs / 1_000} s.`,
        { cause },
      );
    return sortNetworkError(cause, carrierName);
  }

  return { send, close: () => agent.destroy() };
}

interface Deadline {
  readonly signal: AbortSignal;
  readonly endedBy: "caller" | "time" | null;
  clear(): void;
}

/** A signal that fires after `ms` or with `signal`, whichever is first, and remembers which. */
function withDeadline(ms: number, signal: AbortSignal | undefined): Deadline {
  const controller = new AbortController();
  let endedBy: Deadline["endedBy"] = null;
  const end = (by: "caller" | "time") => {
    endedBy ??= by;
    controller.abort();
  };
  const onAbort = () => end("caller");
  const timer = setTimeout(() => end("time"), ms);
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    get endedBy() {
      return endedBy;
    },
    clear() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

function joinHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value].flat().join(", ")]),
  );
}

/** UTF-8 unless the answer names another charset; broken bytes become U+FFFD and a byte order mark goes. */
function decode(bytes: Buffer, contentType: string | undefined): string {
  const [, charset = "utf-8"] = /charset="?([\w.:-]+)/i.exec(contentType ?? "") ?? [];
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    // A charset nobody knows.
    return new TextDecoder().decode(bytes);
  }
}
