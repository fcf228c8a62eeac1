import { parseBaseUrl } from "./carriers/baseUrl.ts";
import { UsageError } from "./errors.ts";

/**
 * A variable that is a base URL, without a slash at its end; null where it is not set.
 * @throws UsageError naming the variable, and what it should be.
 */
export function readUrl(env: NodeJS.ProcessEnv, name: string): string | null {
  const url = env[name];
  if (!url) return null;
  if (parseBaseUrl(url) !== null) return url.replace(/\/+$/, "");
  throw new UsageError(
    "BAD_ENVIRONMENT",
    `${name} must be an https address without user, query or fragment (http only for localhost); "${url.replace(/[^/]*@/, "…@")}" is not.`,
  );
}
