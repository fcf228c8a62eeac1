import { jwtVerify } from "jose";
import type { Secret } from "../secret.ts";

/** The database roles a request may run as. */
const ROLES = ["bookpost_visitor", "bookpost_member", "bookpost_operator"] as const;

/** For whom a request runs: a database role and the user that row-level security reads. */
export interface Viewer {
  readonly role: (typeof ROLES)[number];
  readonly userId: string | null;
  /** When the token ends, in milliseconds since 1970; left out: it never does. */
  readonly expiresAt?: number;
}

/** The token was there and is not good; the message may be shown. */
export class BadToken extends Error {
  override name = "BadToken";
}

const VISITOR: Viewer = { role: "bookpost_visitor", userId: null };
const OPERATOR: Viewer = { role: "bookpost_operator", userId: null };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Says who is asking, from the Authorization header.
 * - No secret configured: always the operator. The server then answers on loopback only.
 * - No header: a visitor.
 * - A bearer token: HS256 with our secret, not expired, `sub` a user's id and
 *   `role` one of the three roles in full.
 *
 * @throws BadToken for everything else.
 */
export function createViewerReader(
  secret: Secret | null,
): (authorization: string | undefined) => Promise<Viewer> {
  if (secret === null) return async () => OPERATOR;
  const key = new TextEncoder().encode(secret.reveal());
  return async (authorization) => {
    if (authorization === undefined) return VISITOR;
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined)
      throw new BadToken('The Authorization header must be "Bearer" and a token.');
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["HS256"],
      requiredClaims: ["exp", "sub", "role"],
    }).catch((cause) => {
      const expired = cause?.code === "ERR_JWT_EXPIRED";
      throw new BadToken(expired ? "The token has expired." : "The token is not valid here.");
    });
    const role = ROLES.find((r) => r === payload.role);
    if (role === undefined || !UUID.test(payload.sub ?? ""))
      throw new BadToken("The token names no role and user of bookpost.");
    return { role, userId: payload.sub ?? null, expiresAt: Number(payload.exp) * 1_000 };
  };
}
