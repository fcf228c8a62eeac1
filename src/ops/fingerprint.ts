import { createHash } from "node:crypto";
import type { CarrierConfig } from "../config.ts";

/**
 * Tells one set of credentials from another without telling them: half a
 * SHA-256 over texts that nobody can guess. The database compares it, to know
 * whether credentials that were refused have been replaced.
 */
export function fingerprint(carrier: CarrierConfig): string {
  const hash = createHash("sha256").update(carrier.baseUrl);
  for (const [name, secret] of Object.entries(carrier.credentials ?? {}).sort())
    hash.update(`\0${name}\0${secret.reveal()}`);
  return hash.digest("hex").slice(0, 32);
}
