import { z } from "zod";
import { parseBaseUrl } from "./carriers/baseUrl.ts";
import { UsageError } from "./errors.ts";
import { readUrl } from "./readUrl.ts";
import { readVariable } from "./readVariable.ts";

/** Who may ask the API, what it makes of their tokens, and which documents it takes. */
export interface AccessConfig {
  /** Where the identity provider publishes its keys (a JWK set); null: tokens are signed with `jwtSecret`, or there are none. */
  readonly jwksUrl: string | null;
  /** What a token's `iss` and `aud` must be; null: they are not looked at. Always set beside `jwksUrl`. */
  readonly issuer: string | null;
  readonly audience: string | null;
  /** The claim that names the database role. */
  readonly roleClaim: string;
  /** What a token's `sub` is: a user's id of ours, or the app's own (`users.app_user_id`). */
  readonly subject: "user_id" | "app_user_id";
  /** Seconds that a token may live in all; null: as long as it says. */
  readonly maxTokenSeconds: number | null;
  /** A file of documents, by id, that are the only ones answered; "any": every document; null: not said. */
  readonly trustedDocuments: string | null;
  /** Proxies before the API that add the address they see to X-Forwarded-For; 0: the header is not looked at. */
  readonly proxies: number;
  /** Where people reach the API's server from outside, without a slash at the end; null: not said. */
  readonly publicUrl: string | null;
}

const text = z.string().min(1).max(500).describe("a text of at most 500 characters").optional();

const number = (low: number, high: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number)
    .refine((n) => n >= low && n <= high)
    .describe(`a whole number from ${low} to ${high}`);

function refuse(sentence: string): UsageError {
  return new UsageError("BAD_ENVIRONMENT", sentence);
}

/** The keys decide who is who, so nobody on the way may change them: https, or http on this machine. */
function readJwksUrl(env: NodeJS.ProcessEnv): string | null {
  const url = env.JWT_JWKS_URL;
  if (!url) return null;
  const parsed = URL.parse(url);
  // Some providers tell tenants apart by a query.
  if (parsed !== null) parsed.search = "";
  if (parsed !== null && parseBaseUrl(parsed.href) !== null) return url;
  throw refuse(
    `JWT_JWKS_URL must be an https address without user and fragment (http only for localhost); "${url.replace(/[^/]*@/, "…@")}" is not.`,
  );
}

/**
 * Reads and checks what the environment says of access to the API. Called by `readConfig` only.
 * @throws UsageError naming the variable that is wrong or missing, and the way out.
 */
export function readAccessConfig(
  env: NodeJS.ProcessEnv,
  options: { readonly hasSecret: boolean },
): AccessConfig {
  const jwksUrl = readJwksUrl(env);
  const issuer = readVariable(env, "JWT_ISSUER", text) ?? null;
  const audience = readVariable(env, "JWT_AUDIENCE", text) ?? null;
  if (jwksUrl !== null && options.hasSecret)
    throw refuse(
      "JWT_SECRET and JWT_JWKS_URL are both set, and tokens are signed by one of them: leave the other out.",
    );
  // The keys of a provider sign tokens for many apps; only issuer and audience say that one is for us.
  const missing = issuer === null ? "JWT_ISSUER" : audience === null ? "JWT_AUDIENCE" : null;
  if (jwksUrl !== null && missing !== null)
    throw refuse(
      `JWT_JWKS_URL needs ${missing} too, because its keys sign tokens for other apps as well; set it to what your tokens carry as "${missing === "JWT_ISSUER" ? "iss" : "aud"}".`,
    );
  return {
    jwksUrl,
    issuer,
    audience,
    roleClaim: readVariable(env, "JWT_ROLE_CLAIM", text) ?? "role",
    subject: readVariable(
      env,
      "JWT_SUBJECT",
      z.enum(["user_id", "app_user_id"]).describe("user_id or app_user_id").default("user_id"),
    ),
    maxTokenSeconds: readVariable(env, "JWT_MAX_AGE", number(60, 2_678_400).optional()) ?? null,
    trustedDocuments: env.TRUSTED_DOCUMENTS || null,
    proxies: readVariable(env, "TRUST_PROXY", number(0, 10).optional()) ?? 0,
    publicUrl: readUrl(env, "PUBLIC_URL"),
  };
}
