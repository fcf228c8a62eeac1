import { SignJWT } from "jose";
import { onTestFinished } from "vitest";
import { type AccessConfig, readAccessConfig } from "../../src/accessConfig.ts";
import { WEBSOCKETS } from "../../src/graphql/limits.ts";
import type { RateLimits } from "../../src/graphql/rateLimit.ts";
import { startApi } from "../../src/graphql/server.ts";
import type { WebSocketLimits } from "../../src/graphql/subscriptions/socketServer.ts";
import { Secret } from "../../src/secret.ts";
import type { TestDatabase } from "../helpers/database.ts";

export const JWT_SECRET = "a secret for tests, 32 letters or more";

const KEY = new TextEncoder().encode(JWT_SECRET);

/** What an empty environment says of access, and every document answered, in production too. */
export const TEST_ACCESS: AccessConfig = {
  ...readAccessConfig({}, { hasSecret: true }),
  trustedDocuments: "any",
};

/** So that a file of tests is not refused for asking as one person in a minute what a person asks in a day. */
const UNLIMITED: RateLimits = { visitor: 1e6, member: 1e6, operator: 1e6, page: 1e6 };

/** An answer of the API: HTTP status and the body as JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came.
  readonly body: any;
  readonly text: string;
}

export interface TestApi {
  readonly url: string;
  /** What it has logged so far. */
  readonly log: readonly string[];
  /** POSTs a document. `token` goes into the Authorization header. */
  query(
    text: string,
    options?: { variables?: Record<string, unknown>; token?: string },
  ): Promise<Answer>;
  stop(): Promise<void>;
}

/** A token as an app would make it; `claims` replace or add. */
export async function signToken(
  role: string,
  userId = "00000000-0000-4000-8000-000000000000",
): Promise<string> {
  return new SignJWT({ role })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(userId)
    .setExpirationTime("5 minutes")
    .sign(KEY);
}

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json");
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text !== "" ? JSON.parse(text) : null,
  };
}

/** The API on a free port of this machine. */
export async function startTestApi(
  db: Pick<TestDatabase, "url" | "apiUrl">,
  options: {
    jwtSecret?: string | null;
    isDevelopment?: boolean;
    access?: Partial<AccessConfig>;
    rateLimits?: RateLimits;
    allowedOrigins?: readonly string[];
    /** In place of some of `WEBSOCKETS`. */
    webSocketLimits?: Partial<WebSocketLimits>;
    timeouts?: { receiveMs?: number; idleMs?: number };
  } = {},
): Promise<TestApi> {
  const log: string[] = [];
  const jwtSecret = options.jwtSecret === undefined ? JWT_SECRET : options.jwtSecret;
  const api = await startApi({
    config: {
      host: "127.0.0.1",
      port: 0,
      isDevelopment: options.isDevelopment ?? false,
      jwtSecret: jwtSecret === null ? null : new Secret(jwtSecret),
      access: { ...TEST_ACCESS, ...options.access },
      allowedOrigins: options.allowedOrigins ?? [],
      apiDatabaseUrl: null,
    },
    databaseUrl: db.url,
    apiDatabaseUrl: db.apiUrl,
    log: (sentence) => log.push(sentence),
    rateLimits: options.rateLimits ?? UNLIMITED,
    webSocketLimits: { ...WEBSOCKETS, ...options.webSocketLimits },
    timeouts: options.timeouts,
  });
  return {
    ...api,
    log,
    async query(text, { variables, token } = {}) {
      const response = await fetch(`${api.url}/graphql`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ query: text, variables }),
      });
      return readAnswer(response);
    },
  };
}

/** The same, stopped when the test ends. */
export async function startApiForTest(
  ...options: Parameters<typeof startTestApi>
): Promise<TestApi> {
  const api = await startTestApi(...options);
  onTestFinished(() => api.stop());
  return api;
}
