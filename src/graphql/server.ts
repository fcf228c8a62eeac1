import "../ops/graphileEnvironment.ts";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type pg from "pg";
import type { Config } from "../config.ts";
import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { createPool } from "../db/pool.ts";
import { BookpostError } from "../errors.ts";
import { createAdmission } from "./admission.ts";
import { createEngine } from "./engine.ts";
import { createUserFinder } from "./findUser.ts";
import { createHealthCheck } from "./healthCheck.ts";
import {
  IDLE_TIMEOUT_MS,
  MAX_SOCKETS,
  RECEIVE_CHECK_MS,
  RECEIVE_TIMEOUT_MS,
  STOP_GRACE_MS,
} from "./limits.ts";
import { requireLoopback } from "./loopbackGuard.ts";
import type { LogError } from "./maskError.ts";
import { createRateLimit, type RateLimits } from "./rateLimit.ts";
import { createTokenReader } from "./readToken.ts";
import { rememberTokens } from "./rememberTokens.ts";
import { createRequestHandler } from "./requestHandler.ts";
import { createSharedParcelReader } from "./sharedParcelReader.ts";
import { createChangeHub } from "./subscriptions/changeHub.ts";
import { createSocketServer, type WebSocketLimits } from "./subscriptions/socketServer.ts";
import { readTrustedDocuments } from "./trustedDocuments.ts";
import { createUnsubscribe } from "./unsubscribe.ts";

export interface ApiOptions {
  readonly config: Pick<
    Config,
    "host" | "port" | "isDevelopment" | "jwtSecret" | "access" | "apiDatabaseUrl"
  > &
    Partial<Pick<Config, "allowedOrigins">>;
  /** The owner's login; used where the API has none of its own. */
  readonly databaseUrl: string;
  /** The API's login, where the caller knows it and the environment does not (the embedded Postgres). */
  readonly apiDatabaseUrl?: string;
  /** Takes what people should look at; standard error if left out. */
  readonly log?: LogError;
  /** Requests a minute, for who measures or tests; `RATE_PER_MINUTE` if left out. */
  readonly rateLimits?: RateLimits;
  /** For who tests; `WEBSOCKETS` if left out. */
  readonly webSocketLimits?: WebSocketLimits;
  /** For who tests, in milliseconds; `RECEIVE_TIMEOUT_MS` and `IDLE_TIMEOUT_MS` if left out. */
  readonly timeouts?: { readonly receiveMs?: number; readonly idleMs?: number };
}

export interface Api {
  /** Without a path, such as http://127.0.0.1:5678; GraphQL is at /graphql. */
  readonly url: string;
  /** Takes no more requests, lets those under way end (five seconds at most), closes WebSockets and pools. May be called again. */
  stop(): Promise<void>;
}

/**
 * Serves GraphQL over HTTP and resolves when it answers. The roles it runs as
 * can only read, and write by the functions that are theirs.
 * @throws UsageError when everybody would be the operator beyond this machine, and for what is wrong with TRUSTED_DOCUMENTS.
 * @throws BookpostError when the port is taken, or the database is away or not migrated.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { config } = options;
  const log = options.log ?? ((sentence) => console.error(sentence));
  const readToken = createTokenReader(config, log);
  if (readToken === null) requireLoopback(config.host);
  const documents = readTrustedDocuments(config);
  const login = options.apiDatabaseUrl ?? config.apiDatabaseUrl ?? options.databaseUrl;
  const pool = createPool(login, "api", {
    onError: (error) => log(`API: a connection to Postgres was lost (${error.name})`),
  });
  // Its own, so that an API whose connections are all busy is not taken for one without a database. The check itself tells of an error.
  const healthPool = createPool(login, "health");
  // What it loses it tells itself, once.
  const changeHub = createChangeHub({ pool: createPool(login, "changes"), log });
  try {
    await requireSchema(pool);
    const admission = createAdmission({
      access: config.access,
      readToken: readToken && rememberTokens(readToken),
      findUser: createUserFinder(pool),
      rateLimit: createRateLimit(options.rateLimits),
      log,
    });
    const { isDevelopment } = config;
    const { charge } = admission;
    const { publicUrl } = config.access;
    const engine = await createEngine(pool, {
      isDevelopment,
      documents,
      charge,
      publicUrl,
      changeHub,
      log,
    });
    const handler = createRequestHandler({
      config,
      isOpen: readToken === null,
      admission,
      engine,
      isHealthy: createHealthCheck(healthPool),
      unsubscribe: createUnsubscribe(pool),
      readSharedParcel: createSharedParcelReader(pool),
      log,
    });
    const isOpen = readToken === null;
    const limits = options.webSocketLimits;
    const sockets = createSocketServer({ config, isOpen, admission, engine, log, limits });
    const server = createServer(
      {
        requestTimeout: options.timeouts?.receiveMs ?? RECEIVE_TIMEOUT_MS,
        connectionsCheckingInterval: RECEIVE_CHECK_MS,
        // Others (h2c) are answered as plain HTTP/1.1, as if they had not asked.
        shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
      },
      handler,
    );
    server.on("upgrade", sockets.upgrade);
    server.maxConnections = MAX_SOCKETS;
    // A WebSocket is freed of it by ws, and pinged instead.
    server.timeout = options.timeouts?.idleMs ?? IDLE_TIMEOUT_MS;
    await listen(server, config.host, config.port);
    let stopping: Promise<void> | undefined;
    return {
      url: urlOf(server),
      stop() {
        stopping ??= Promise.all([close(server), sockets.close()])
          .then(() => changeHub.stop())
          .then(() => engine.release())
          .then(() => Promise.all([pool.end(), healthPool.end()]))
          .then(() => {});
        return stopping;
      },
    };
  } catch (error) {
    await changeHub.stop();
    await Promise.all([pool.end(), healthPool.end()]);
    throw mapDatabaseError(error);
  }
}

/** PostGraphile would build an API without a single field. */
async function requireSchema(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ found: boolean }>(
    `select exists (
       select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'bookpost' and c.relname = 'parcels'
     ) as found`,
  );
  if (rows[0]?.found) return;
  throw new BookpostError(
    "NOT_MIGRATED",
    "The database has no bookpost schema. Run: npx bookpost migrate",
  );
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen({ host, port });
    await once(server, "listening");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const sentence =
      code === "EADDRINUSE"
        ? `Port ${port} is taken. Set PORT to another, or to 0 for any that is free.`
        : `The API cannot listen on ${host}, port ${port} (${code}). Set HOST and PORT.`;
    throw new BookpostError("CANNOT_LISTEN", sentence, { cause: error });
  }
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await closed;
  clearTimeout(timer);
}
