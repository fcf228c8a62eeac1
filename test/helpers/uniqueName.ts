import { randomBytes } from "node:crypto";

/** A name that no other test uses: tests that commit share a database and must not meet. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomBytes(5).toString("hex")}`;
}
