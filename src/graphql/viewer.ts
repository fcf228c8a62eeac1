/** The database roles a request may run as. */
export const ROLES = ["bookpost_visitor", "bookpost_member", "bookpost_operator"] as const;

export type Role = (typeof ROLES)[number];

/** For whom a request runs: a database role and the user that row-level security reads. */
export interface Viewer {
  readonly role: Role;
  /** Null: nobody who is known here. */
  readonly userId: string | null;
  /** When the token expires, in milliseconds since the epoch; null: there is none. */
  readonly expiresAt: number | null;
  /** Whom the rate limit counts: the token's subject, or an address. */
  readonly caller: string;
}
