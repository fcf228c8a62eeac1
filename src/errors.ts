/**
 * Every error class of bookpost. Imports nothing of ours, so any room may use
 * it. Each class has a stable `code` for programs and a sentence for people
 * that names the thing, the value and the way out, and never holds a
 * credential, a phone number or an address.
 */

/** Something a person can put right. The command line prints `message` and ends with `exitCode`. */
export class BookpostError extends Error {
  override name = "BookpostError";
  readonly code: string;
  /** 1: it could not be done. 2: what was asked makes no sense; nothing was changed. */
  readonly exitCode: 1 | 2;

  constructor(code: string, message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode ?? 1;
  }

  /** For programs that are not ours and print whatever they catch, such as the stock graphile-worker command. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.message;
  }
}

/** Bad input: command line, environment or API. Nothing was changed; exit code 2. */
export class UsageError extends BookpostError {
  override name = "UsageError";

  constructor(code: string, message: string, options: { cause?: unknown } = {}) {
    super(code, message, { ...options, exitCode: 2 });
  }
}

/**
 * Something that was said for one input makes no sense; nothing was changed.
 * The command line asks for `--title` and the API for `title`, so whoever asked
 * words the sentence with its own names (`tell`). `message` has the API's.
 */
export class InputError extends Error {
  override name = "InputError";
  readonly code: string;
  /** Which input, as the API calls it. */
  readonly input: string;
  readonly tell: (nameOf: (input: string) => string) => string;

  constructor(
    code: string,
    input: string,
    tell: (nameOf: (input: string) => string) => string,
    options: { cause?: unknown } = {},
  ) {
    super(
      tell((name) => name),
      options,
    );
    this.code = code;
    this.input = input;
    this.tell = tell;
  }
}

/**
 * How a lookup can end other than with a `Tracking`. The words are those of
 * `bookpost_private.lookup_outcomes`; what each does to the circuit and to the
 * next look is decided there, in SQL, and told in migrations/README.md.
 */
export type LookupFailure =
  | "not_found"
  | "unavailable"
  | "malformed"
  | "rate_limited"
  | "rejected"
  | "out_of_quota"
  | "local";

/** What an adapter throws when it has no `Tracking` to return. Subclasses below; do not construct this one. */
export abstract class LookupError extends Error {
  abstract readonly outcome: LookupFailure;
  /** The carrier's own code or ours: short, stable, safe to store and show. */
  readonly code: string;
  /** When the carrier may be asked again, if it said so (an instant); only for rate_limited, out_of_quota and unavailable; for local, when we may. */
  readonly retryAt: Date | null;

  constructor(
    code: string,
    message: string,
    options: { retryAt?: Date | null; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryAt = options.retryAt ?? null;
  }
}

/** The carrier is well and does not know the number (yet). A success for the circuit. */
export class NotFound extends LookupError {
  override name = "NotFound";
  readonly outcome = "not_found";
}

/** Timeout, refused connection, 5xx, truncated answer: the carrier's trouble. A failure for the circuit. */
export class Unavailable extends LookupError {
  override name = "Unavailable";
  readonly outcome = "unavailable";
}

/** An answer that makes no sense: not the documented shape, or an error inside a 200. A failure for the circuit. */
export class Malformed extends LookupError {
  override name = "Malformed";
  readonly outcome = "malformed";
}

/** The carrier asks us to slow down. Not a failure: the API waits until `retryAt`. */
export class RateLimited extends LookupError {
  override name = "RateLimited";
  readonly outcome = "rate_limited";
}

/** The carrier refuses our credentials or our request. Not a failure: the API is parked until it is configured anew. */
export class Rejected extends LookupError {
  override name = "Rejected";
  readonly outcome = "rejected";
}

/** The allowance of the day or the hour is spent. Not a failure: the API waits until the reset. */
export class OutOfQuota extends LookupError {
  override name = "OutOfQuota";
  readonly outcome = "out_of_quota";
}

/** Our side: DNS, no route, our own shutdown, a bug's guard. Says nothing about the carrier. */
export class LocalTrouble extends LookupError {
  override name = "LocalTrouble";
  readonly outcome = "local";
}

/** Nothing went out for this lookup, and nothing is known of the carrier: the permit can go back. Why, and when it may be tried again. */
export class NotAsked extends LocalTrouble {
  override name = "NotAsked";
  readonly refusal: string;
  readonly retryInMs: number | null;

  constructor(refusal: string, retryInMs: number | null) {
    super("NOT_ASKED", `The request was not sent: ${refusal.replaceAll("_", " ")}.`, {
      retryAt: retryInMs === null ? null : new Date(Date.now() + retryInMs),
    });
    this.refusal = refusal;
    this.retryInMs = retryInMs;
  }
}

export function isLookupError(error: unknown): error is LookupError {
  return error instanceof LookupError;
}
