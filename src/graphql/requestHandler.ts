import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "../config.ts";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { BookpostError } from "../errors.ts";
import type { SharedParcel } from "../sql/readSharedParcels.ts";
import type { Admission } from "./admission.ts";
import { answer, refuse } from "./answer.ts";
import type { Engine } from "./engine.ts";
import { BYTES_PER_POINT, MAX_BODY_BYTES } from "./limits.ts";
import { isMeantForLoopback } from "./loopbackGuard.ts";
import type { LogError } from "./maskError.ts";
import { CannotTell, Refusal } from "./refusal.ts";
import { answerSharedParcel } from "./sharedParcelPage.ts";
import { answerUnsubscribe } from "./unsubscribePage.ts";

/** The files of the page at `/`, as its package names them. */
const PAGE_FILE = /^\/ruru-static\/[\w.-]+(\/[\w.-]+)*$/;

/** What an email's link leads to; a token is a UUID. */
const UNSUBSCRIBE = /^\/unsubscribe\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/** A public link's page; a token is 256 bits in base64url. */
const SHARED_PARCEL = /^\/t\/([\w-]{43})$/;

export interface RequestHandlerOptions {
  readonly config: Pick<Config, "isDevelopment">;
  /** Everybody is the operator: only what was meant for this machine is answered. */
  readonly isOpen: boolean;
  readonly admission: Admission;
  readonly engine: Engine;
  readonly isHealthy: () => Promise<boolean>;
  /** Whether somebody has this token, and wants no more email from now on. */
  readonly unsubscribe: (token: string) => Promise<boolean>;
  /** What the token of a public link opens; null: nothing. */
  readonly readSharedParcel: (token: string) => Promise<SharedParcel | null>;
  readonly log: LogError;
}

/** Postgres is away, full, or has broken the statement off: for the public pages, which ask it by themselves. */
function isBusy(error: unknown): boolean {
  const mapped = mapDatabaseError(error);
  return mapped instanceof BookpostError && /^(DATABASE_|LOCKED|TOOK_TOO_LONG)/.test(mapped.code);
}

/**
 * Decides for each request what it may reach: GraphQL, the page, the health
 * check, a public link's parcel, the end of a person's emails, or nothing. Paths are compared as they were sent, so nothing can be
 * smuggled in by encoding.
 */
export function createRequestHandler(
  options: RequestHandlerOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { config, isOpen, admission, engine, isHealthy, unsubscribe, readSharedParcel, log } =
    options;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split("?", 1)[0] ?? "";
    response.setHeader("x-content-type-options", "nosniff");
    if (isOpen && !isMeantForLoopback(request))
      return refuse(
        response,
        403,
        "FORBIDDEN",
        "Without JWT_SECRET the API answers this machine only, by the name localhost or 127.0.0.1.",
      );
    if (path === "/health") {
      const healthy = await isHealthy();
      return answer(response, healthy ? 200 : 503, { status: healthy ? "ok" : "unavailable" });
    }
    if (config.isDevelopment && (path === "/" || PAGE_FILE.test(path)))
      return engine.page(request, response);
    const token = UNSUBSCRIBE.exec(path)?.[1];
    if (token !== undefined) {
      await admission.chargePage(request);
      return answerUnsubscribe(request, response, token, unsubscribe);
    }
    const shared = SHARED_PARCEL.exec(path)?.[1];
    if (shared !== undefined) {
      await admission.chargePage(request);
      return answerSharedParcel(request, response, shared, readSharedParcel);
    }
    if (path !== "/graphql")
      return refuse(response, 404, "NOT_FOUND", "There is nothing here. GraphQL is at /graphql.");
    if (request.method !== "POST")
      return refuse(response, 405, "METHOD_NOT_ALLOWED", "Send a POST.", { allow: "POST" });
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES)
      return refuse(
        response,
        413,
        "BODY_TOO_BIG",
        `A request has at most ${MAX_BODY_BYTES} bytes.`,
        // The rest of the body is not read.
        { connection: "close" },
      );
    response.setHeader("cache-control", "no-store");
    const viewer = await admission.admit(request, request.headers.authorization);
    const { socket } = request;
    const sentBefore = socket.bytesWritten;
    response.once("close", () => {
      const points = Math.floor((socket.bytesWritten - sentBefore) / BYTES_PER_POINT);
      if (points > 0) admission.charge(viewer, points).catch(() => {});
    });
    engine.query(request, response, viewer);
  }

  return (request, response) => {
    handle(request, response).catch((error) => {
      const refusal = isBusy(error)
        ? new CannotTell("The database does not answer now. Ask again later.")
        : error;
      if (refusal instanceof Refusal)
        return refuse(response, refusal.status, refusal.code, refusal.message, refusal.headers);
      log(`API: ${error instanceof Error ? error.stack : error}`);
      refuse(response, 500, "INTERNAL", "Something went wrong on our side.");
    });
  };
}
