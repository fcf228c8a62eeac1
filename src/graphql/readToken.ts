import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Config } from "../config.ts";
import { JWKS, TOKEN_CLOCK_SKEW_SECONDS } from "./limits.ts";
import type { LogError } from "./maskError.ts";
import { BadToken, CannotTell } from "./refusal.ts";
import { ROLES, type Role } from "./viewer.ts";

/** What a good token says. */
export interface Token {
  readonly role: Role;
  readonly subject: string;
  /** In milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Reads an Authorization header. Throws BadToken, or CannotTell where the keys are not to be had. */
export type TokenReader = (authorization: string) => Promise<Token>;

type Key = Uint8Array | JWTVerifyGetKey;

type KeyTimes = Readonly<Record<keyof typeof JWKS, number>>;

/**
 * What a key may have signed. Fixed for each kind of key: taking the token's own
 * word for it would let a public key, which everybody has, serve as an HS256 secret.
 */
const SECRET_ALGORITHMS = ["HS256"];
const JWKS_ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** jose's errors about a token; any other one is about getting the keys. */
const ABOUT_THE_TOKEN: readonly (new (
  // biome-ignore lint/suspicious/noExplicitAny: their constructors differ, and are not called.
  ...args: any[]
) => Error)[] = [
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
  errors.JOSENotSupported,
  errors.JOSEAlgNotAllowed,
  errors.JWSInvalid,
];

/** The keys at `url`: fetched when first needed, and again when they are old or a token names one that is not among them. */
function fetchKeys(url: string, log: LogError, times: KeyTimes): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: times.timeoutMs,
    cooldownDuration: times.cooldownMs,
    cacheMaxAge: times.keptMs,
  });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (ABOUT_THE_TOKEN.some((kind) => error instanceof kind)) throw error;
      log(`API: the keys at JWT_JWKS_URL cannot be had: ${(error as Error).message}`);
      throw new CannotTell("Tokens cannot be checked now. Ask again later.");
    }
  };
}

/**
 * Reads and checks tokens: signed by the one key or set of keys that the
 * configuration names, by an algorithm that is fixed with it, not expired, for
 * us, and with one of the three roles in full. Null where no key is configured.
 */
export function createTokenReader(
  config: Pick<Config, "jwtSecret" | "access">,
  log: LogError,
  times: KeyTimes = JWKS,
): TokenReader | null {
  const { jwtSecret, access } = config;
  if (jwtSecret !== null)
    return tokenReader(new TextEncoder().encode(jwtSecret.reveal()), SECRET_ALGORITHMS, access);
  if (access.jwksUrl !== null)
    return tokenReader(fetchKeys(access.jwksUrl, log, times), JWKS_ALGORITHMS, access);
  return null;
}

function tokenReader(key: Key, algorithms: string[], access: Config["access"]): TokenReader {
  const { maxTokenSeconds: max } = access;
  const options = {
    algorithms,
    requiredClaims: ["exp", "sub"],
    clockTolerance: TOKEN_CLOCK_SKEW_SECONDS,
    ...(access.issuer !== null && { issuer: access.issuer }),
    ...(access.audience !== null && { audience: access.audience }),
    ...(max !== null && { maxTokenAge: max }),
  };
  return async (authorization) => {
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined)
      throw new BadToken('The Authorization header must be "Bearer" and a token.');
    // Two signatures: one takes bytes, the other a function.
    const verified =
      typeof key === "function" ? jwtVerify(token, key, options) : jwtVerify(token, key, options);
    const { payload } = await verified.catch((error) => {
      throw error instanceof CannotTell ? error : new BadToken(sentenceOf(error));
    });
    // jose asks only whether it is there.
    const sub: unknown = payload.sub;
    const { exp = 0, iat } = payload;
    if (max !== null && exp - (iat ?? 0) > max)
      throw new BadToken(`The token lives longer than the ${max} seconds that are allowed here.`);
    const role = ROLES.find((r) => r === payload[access.roleClaim]);
    if (role === undefined || !isSubject(sub, access.subject))
      throw new BadToken("The token names no role and user of bookpost.");
    return { role, subject: sub, expiresAt: exp * 1_000 };
  };
}

/** NUL cannot be stored in Postgres; 200 characters (chosen) are more than any provider's id has. */
function isSubject(text: unknown, kind: Config["access"]["subject"]): text is string {
  if (typeof text !== "string") return false;
  return kind === "user_id"
    ? UUID.test(text)
    : text !== "" && text.length <= 200 && !text.includes("\0");
}

/** Why a token is refused. Only of one that we signed anything is told. */
function sentenceOf(error: unknown): string {
  return error instanceof errors.JWTExpired
    ? "The token has expired."
    : "The token is not valid here.";
}
