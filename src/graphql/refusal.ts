/** A request is refused before GraphQL sees it. The message may be shown. Construct one of those below. */
export abstract class Refusal extends Error {
  abstract readonly status: number;
  abstract readonly code: string;
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>> = {};
}

/** The token was there and is not good. */
export class BadToken extends Refusal {
  override name = "BadToken";
  readonly status = 401;
  readonly code = "BAD_TOKEN";
  override readonly headers = { "www-authenticate": "Bearer" };
}

/** What is needed to tell who asks does not answer: the identity provider's keys, or the database. */
export class CannotTell extends Refusal {
  override name = "CannotTell";
  readonly status = 503;
  readonly code = "UNAVAILABLE";
}

/** This caller has asked too much for now. */
export class TooMany extends Refusal {
  override name = "TooMany";
  readonly status = 429;
  readonly code = "RATE_LIMITED";
  override readonly headers: Readonly<Record<string, string>>;

  /** @param seconds after which it may ask again */
  constructor(seconds: number) {
    super(`Too many requests. Ask again in ${seconds} seconds.`);
    this.headers = { "retry-after": String(seconds) };
  }
}
