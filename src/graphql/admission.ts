import type { IncomingMessage } from "node:http";
import type { Config } from "../config.ts";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { BookpostError } from "../errors.ts";
import { callerAddress } from "./callerAddress.ts";
import type { LogError } from "./maskError.ts";
import type { CallerKind, RateLimit } from "./rateLimit.ts";
import type { Token, TokenReader } from "./readToken.ts";
import { BadToken, CannotTell } from "./refusal.ts";
import type { Role, Viewer } from "./viewer.ts";

/** Whose number of requests counts. */
const KINDS = {
  bookpost_visitor: "visitor",
  bookpost_member: "member",
  bookpost_operator: "operator",
} as const satisfies Record<Role, CallerKind>;

export interface AdmissionOptions {
  readonly access: Config["access"];
  /** Null: everybody is the operator. The server then answers on loopback only. */
  readonly readToken: TokenReader | null;
  readonly findUser: (appUserId: string) => Promise<string | null>;
  readonly rateLimit: RateLimit;
  readonly log: LogError;
}

export interface Admission {
  /**
   * Says who is asking, from the Authorization header (or what a socket sends
   * in its place), and counts it as one request: before a body is read, and
   * before the database is asked who has this `app_user_id`.
   * @throws Refusal: BadToken, TooMany, CannotTell.
   */
  admit(request: Request, authorization: string | undefined): Promise<Viewer>;
  /** Counts something more that this viewer asks: an operation of a socket, a mutation. @throws TooMany. */
  charge(viewer: Viewer, points?: number): Promise<void>;
  /** Counts a look at a public page, by the visitor's address. @throws TooMany. */
  chargePage(request: Request): Promise<void>;
}

type Request = Pick<IncomingMessage, "headers" | "socket">;

/** The one door of HTTP and WebSocket. */
export function createAdmission(options: AdmissionOptions): Admission {
  const { access, readToken, findUser, rateLimit, log } = options;
  let hasTold = false;

  /** Counts a visitor by address; once tells people when that may be a proxy's. */
  async function chargeAddress(kind: CallerKind, request: Request, address: string): Promise<void> {
    try {
      await rateLimit.take(kind, address);
    } catch (error) {
      if (!hasTold && access.proxies === 0 && request.headers["x-forwarded-for"] !== undefined) {
        hasTold = true;
        log(
          "API: a visitor was refused for too many requests, and X-Forwarded-For was not believed. If a proxy stands before the API, all its visitors count as one: set TRUST_PROXY=1.",
        );
      }
      throw error;
    }
  }

  async function check(
    read: TokenReader,
    authorization: string,
    request: Request,
    address: string,
  ): Promise<Token> {
    try {
      return await read(authorization);
    } catch (error) {
      // Whoever guesses is counted by address. A good token passes all the same: many people may share one.
      if (error instanceof BadToken) await chargeAddress("visitor", request, address);
      throw error;
    }
  }

  async function userIdOf({ role, subject }: Token): Promise<string | null> {
    if (access.subject === "user_id") return subject;
    const id = await findUser(subject).catch((error) => {
      const mapped = mapDatabaseError(error);
      const isAway = mapped instanceof BookpostError && mapped.code.startsWith("DATABASE_");
      throw isAway ? new CannotTell("The database does not answer now. Ask again later.") : error;
    });
    if (id === null && role === "bookpost_member")
      throw new BadToken("bookpost has no user with this token's app_user_id. Add her first.");
    return id;
  }

  const charge: Admission["charge"] = (viewer, points) =>
    rateLimit.take(KINDS[viewer.role], viewer.caller, points);

  return {
    charge,
    async admit(request, authorization) {
      const address = callerAddress(request, access.proxies);
      if (readToken === null) return withoutToken("bookpost_operator", address);
      if (authorization === undefined) {
        await chargeAddress("visitor", request, address);
        return withoutToken("bookpost_visitor", address);
      }
      const token = await check(readToken, authorization, request, address);
      const { role, subject: caller, expiresAt } = token;
      await rateLimit.take(KINDS[role], caller);
      return { role, caller, expiresAt, userId: await userIdOf(token) };
    },
    async chargePage(request) {
      await chargeAddress("page", request, callerAddress(request, access.proxies));
    },
  };
}

function withoutToken(role: Role, address: string): Viewer {
  return { role, userId: null, expiresAt: null, caller: address };
}
