import type { UserChanges } from "../sql/userChanges.ts";

/**
 * To whom the books of the demo belong, in turn. Six, with two books each: to
 * one person at most ten emails go in an hour, and what is more would wait for
 * a digest. The domain is kept for examples (RFC 2606) and the number for
 * fiction (555-0100 to 555-0199 in North America): they reach nobody.
 */
export const COLLECTORS: readonly (UserChanges & {
  readonly name: string;
  readonly email: string;
})[] = [
  { name: "Ada", email: "ada@example.org", timeZone: "Europe/London" },
  { name: "Benedikt", email: "benedikt@example.org", timeZone: "Europe/Berlin" },
  { name: "Chloé", email: "chloe@example.org", timeZone: "Europe/Paris" },
  { name: "Dorothy", email: "dorothy@example.org", timeZone: "America/Chicago" },
  { name: "Ewa", email: "ewa@example.org", timeZone: "Europe/Warsaw" },
  { name: "Frank", email: "frank@example.org", timeZone: "America/New_York" },
];

/** Who is told by text message as well, at a number that the app is taken to have verified. Three texts go to one phone in an hour: the rest waits for a digest. */
export const TEXTED = { name: "Frank", phoneNumber: "+12025550123" } as const;
