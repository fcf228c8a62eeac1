import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { RATE_BUCKETS, RATE_PER_MINUTE } from "./limits.ts";
import { TooMany } from "./refusal.ts";

/** Who is counted apart from whom. */
export type CallerKind = keyof typeof RATE_PER_MINUTE;

/** Requests that a caller of each kind may make in a minute. */
export type RateLimits = Readonly<Record<CallerKind, number>>;

export interface RateLimit {
  /** Counts a request, or `points` of them. @throws TooMany once there were too many in this minute. */
  take(kind: CallerKind, caller: string, points?: number): Promise<void>;
}

/**
 * Counts what each caller asks of this process in a minute, which begins with
 * her first request. A caller is one of so many buckets, found by a hash
 * that nobody outside can compute: so memory has a bound however many addresses
 * there are, and nobody can choose with whom to share.
 */
export function createRateLimit(
  perMinute: RateLimits = RATE_PER_MINUTE,
  buckets = RATE_BUCKETS,
): RateLimit {
  // Made a key once: of bytes Node makes one for each hash, which takes five times as long (13 µs).
  const key = createSecretKey(randomBytes(32));
  const limiters = new Map(
    Object.entries(perMinute).map(([kind, points]) => [
      kind,
      new RateLimiterMemory({ points, duration: 60 }),
    ]),
  );
  return {
    async take(kind, caller, points = 1) {
      const bucket = createHmac("sha256", key).update(caller).digest().readUInt32BE() % buckets;
      try {
        await limiters.get(kind)?.consume(bucket, points);
      } catch (result) {
        if (!(result instanceof RateLimiterRes)) throw result;
        throw new TooMany(Math.max(1, Math.ceil(result.msBeforeNext / 1_000)));
      }
    },
  };
}
