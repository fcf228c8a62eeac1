import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "../config.ts";
import { answer, refuse } from "./answer.ts";
import type { Engine } from "./engine.ts";
import { MAX_BODY_BYTES } from "./limits.ts";
import { isMeantForLoopback } from "./loopbackGuard.ts";
import type { LogError } from "./maskError.ts";
import { rememberViewers } from "./rememberViewers.ts";
import { answerUnsubscribe } from "./unsubscribePage.ts";
import { BadToken, createViewerReader } from "./viewer.ts";

/** The files of the page at `/`, as its package names them. */
const PAGE_FILE = /^\/ruru-static\/[\w.-]+(\/[\w.-]+)*$/;

/** What an email's link leads to; a token is a UUID. */
const UNSUBSCRIBE = /^\/unsubscribe\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

export interface RequestHandlerOptions {
  readonly config: Pick<Config, "isDevelopment" | "jwtSecret">;
  readonly engine: Engine;
  readonly isHealthy: () => Promise<boolean>;
  /** Whether somebody has this token, and wants no more email from now on. */
  readonly unsubscribe: (token: string) => Promise<boolean>;
  readonly log: LogError;
}

/**
 * Decides for each request what it may reach: GraphQL, the page, the health
 * check, the end of a person's emails, or nothing. Paths are compared as they were sent, so nothing can be
 * smuggled in by encoding.
 */
export function createRequestHandler(
  options: RequestHandlerOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { config, engine, isHealthy, unsubscribe, log } = options;
  const readViewer = rememberViewers(createViewerReader(config.jwtSecret));

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split("?", 1)[0] ?? "";
    response.setHeader("x-content-type-options", "nosniff");
    if (config.jwtSecret === null && !isMeantForLoopback(request))
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
    if (token !== undefined) return answerUnsubscribe(request, response, token, unsubscribe);
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
    engine.query(request, response, await readViewer(request.headers.authorization));
  }

  return (request, response) => {
    handle(request, response).catch((error) => {
      if (error instanceof BadToken)
        return refuse(response, 401, "BAD_TOKEN", error.message, { "www-authenticate": "Bearer" });
      log(`API: ${error instanceof Error ? error.stack : error}`);
      refuse(response, 500, "INTERNAL", "Something went wrong on our side.");
    });
  };
}
