import { randomUUID } from "node:crypto";

/** Access tokens that were given out, and until when each is good. */
export function createTokens(lifeMs: number) {
  const goodUntil = new Map<string, number>();
  return {
    lifeMs,
    issue(): string {
      const token = `sandbox-${randomUUID()}`;
      goodUntil.set(token, Date.now() + lifeMs);
      return token;
    },
    /** Whether an `Authorization` header carries a token that is good now. */
    accepts(authorization: string | undefined): boolean {
      const [, token = ""] = /^Bearer (\S+)$/.exec(authorization ?? "") ?? [];
      return (goodUntil.get(token) ?? 0) > Date.now();
    },
    /** Withdraws every token before its time. */
    expireAll(): void {
      goodUntil.clear();
    },
  };
}

export type Tokens = ReturnType<typeof createTokens>;
