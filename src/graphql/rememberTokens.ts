import { LONGEST_TOKEN_KEPT, TOKENS_KEPT, TOKENS_KEPT_MS } from "./limits.ts";
import type { Token, TokenReader } from "./readToken.ts";

/**
 * The same reader, which does not check a token again that it has found good
 * less than a minute ago and that has not expired since: a check takes 0.1 of
 * the 1.7 ms of CPU that a page of 20 books costs. Refusals are not remembered, nor
 * headers that are long (a good token can be sent with any number of spaces before it), and of many tokens the newest stay.
 */
export function rememberTokens(read: TokenReader): TokenReader {
  // A Map keeps its order of insertion: the first is the oldest.
  const known = new Map<string, { readonly token: Token; readonly until: number }>();
  return async (authorization) => {
    const found = known.get(authorization);
    const now = Date.now();
    if (found !== undefined && now < found.until) return found.token;
    known.delete(authorization);
    const token = await read(authorization);
    if (authorization.length > LONGEST_TOKEN_KEPT) return token;
    known.set(authorization, { token, until: Math.min(token.expiresAt, now + TOKENS_KEPT_MS) });
    const [oldest] = known.keys();
    if (known.size > TOKENS_KEPT && oldest !== undefined) known.delete(oldest);
    return token;
  };
}
