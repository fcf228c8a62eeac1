import { appendFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import type { Fault } from "./fault.ts";
import type { LimitKind } from "./limit.ts";

/** One request as the carrier saw it. */
export interface LogEntry {
  /** Milliseconds since 1970, at arrival. */
  readonly at: number;
  /** Milliseconds on this process's own clock, which never jumps. */
  readonly monotonic: number;
  readonly api: string;
  /** "trap": the target of our own redirects, where nobody should ever come. */
  readonly kind: "token" | "lookup" | "register" | "message" | "trap";
  readonly number: string | null;
  /** Where the API takes many numbers at once: all that were asked about. */
  readonly numbers?: readonly string[];
  /** How many requests of this API were under way at arrival, this one included. */
  readonly concurrent: number;
  /** The kind of limit it broke, for which it was refused; null where none. */
  readonly over: LimitKind | null;
  /** How its answer was made to go wrong; null where it was not. */
  readonly fault: Fault["mode"] | null;
  /** The Retry-After it was answered with. */
  readonly retryAfter: string | null;
  /** The HTTP status given; null while, or because, there is none. */
  readonly status: number | null;
  /** Bytes that went to the socket, headers included. */
  readonly bytesSent: number;
  /** On the same clock as `monotonic`: when it had been answered, or its caller hung up; null while it is under way. */
  readonly endedAt: number | null;
}

/** What is known of a request only after it was written down. */
type Verdict = Pick<LogEntry, "over" | "fault" | "retryAfter">;

/**
 * Keeps what was asked. With a `file`, each exchange is also a line of JSON
 * there once it has ended, so that a test of several processes can read it.
 */
export function createRequestLog(file: string | undefined) {
  const entries: LogEntry[] = [];
  const busy = new Map<string, number>();
  return {
    entries,
    /** Adds an entry that follows `response` until its end, however it ends. What it gives back is the entry's to fill in. */
    record(
      request: Pick<LogEntry, "api" | "kind" | "number" | "numbers">,
      response: ServerResponse,
    ): { -readonly [Key in keyof Verdict]: Verdict[Key] } {
      const { api } = request;
      const { socket } = response;
      const bytesBefore = socket?.bytesWritten ?? 0;
      const countBytes = () => (socket?.bytesWritten ?? 0) - bytesBefore;
      const concurrent = (busy.get(api) ?? 0) + 1;
      busy.set(api, concurrent);
      let bytesAtEnd: number | null = null;
      let endedAt: number | null = null;
      const verdict: Verdict = { over: null, fault: null, retryAfter: null };
      const entry = {
        at: Date.now(),
        monotonic: performance.now(),
        ...request,
        concurrent,
        ...verdict,
        get status() {
          return response.headersSent ? response.statusCode : null;
        },
        // The connection lives on and carries other exchanges.
        get bytesSent() {
          return bytesAtEnd ?? countBytes();
        },
        get endedAt() {
          return endedAt;
        },
      };
      entries.push(entry);
      response.once("close", () => {
        bytesAtEnd = countBytes();
        endedAt = performance.now();
        busy.set(api, (busy.get(api) ?? 1) - 1);
        if (file !== undefined) appendFileSync(file, `${JSON.stringify(entry)}\n`);
      });
      return entry;
    },
  };
}
