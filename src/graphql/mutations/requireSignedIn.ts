import { SafeError } from "postgraphile/grafast";

/**
 * The database would refuse a visitor as well. Said before her input is looked
 * at and a connection is taken for her.
 * @throws SafeError FORBIDDEN
 */
export function requireSignedIn(role: string | undefined): void {
  if (role !== "bookpost_visitor") return;
  throw new SafeError("Only someone who is signed in may do this: send a token.", {
    code: "FORBIDDEN",
  });
}
