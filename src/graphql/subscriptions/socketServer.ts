import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import {
  CloseCode,
  type ConnectionInitMessage,
  type Context,
  handleProtocols,
  makeServer,
} from "graphql-ws";
import { GraphQLError } from "postgraphile/graphql";
import { type WebSocket, WebSocketServer } from "ws";
import type { Config } from "../../config.ts";
import type { Admission } from "../admission.ts";
import { callerAddress } from "../callerAddress.ts";
import type { Engine } from "../engine.ts";
import { MAX_BODY_BYTES, STOP_GRACE_MS, WEBSOCKETS } from "../limits.ts";
import { isMeantForLoopback } from "../loopbackGuard.ts";
import type { LogError } from "../maskError.ts";
import { Refusal } from "../refusal.ts";
import type { Viewer } from "../viewer.ts";
import { isAllowedOrigin } from "./isAllowedOrigin.ts";

/** GraphQL over WebSocket (the protocol graphql-transport-ws), for subscriptions. */
export interface SocketServer {
  /** Takes a request to change to WebSocket, or refuses it. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Says good-bye (1001) to all, and resolves when they are gone, five seconds later at most. */
  close(): Promise<void>;
}

/** What WebSockets may do; the numbers are in `limits.ts`. */
export type WebSocketLimits = Readonly<Record<keyof typeof WEBSOCKETS, number>>;

interface Extra {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  /** For whom it speaks, once that is known. */
  viewer?: Viewer;
}

/** How HTTP would refuse → how a socket is closed: 429 as graphql-ws does it, 1013 is "try again later" (RFC 6455's registry). */
const CLOSE_CODES: Readonly<Record<number, number>> = { 429: 4429, 503: 1013 };

/** setTimeout takes no more: 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** As `refuse` in answer.ts does it where there is a response to write to; hangs up, whether the client does so or not. */
function refuse(socket: Duplex, status: string, code: string, message: string): void {
  const body = `${JSON.stringify({ errors: [{ message, extensions: { code } }] })}\n`;
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Closes with a reason; the protocol has room for 123 bytes of it (RFC 6455, section 5.5). */
function close(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, Buffer.from(reason).subarray(0, 123));
}

/**
 * Decides who may open a WebSocket, for whom it speaks, and for how long.
 * - The token is in connection_init (`{ "authorization": "Bearer …" }`) or in the
 *   request's header. Without a good one: closed with 4403. When it ends: 4403.
 */
export function createSocketServer(options: {
  readonly config: Pick<Config, "access"> & Partial<Pick<Config, "allowedOrigins">>;
  /** Everybody is the operator: only what was meant for this machine is answered. */
  readonly isOpen: boolean;
  readonly admission: Admission;
  readonly engine: Engine;
  readonly log: LogError;
  /** For who tests; `WEBSOCKETS` if left out. */
  readonly limits?: WebSocketLimits;
}): SocketServer {
  const { config, isOpen, admission, engine, log, limits = WEBSOCKETS } = options;
  const settings = {
    noServer: true,
    maxPayload: MAX_BODY_BYTES,
    // Not in the types of ws 8.18, which are the newest.
    closeTimeout: limits.closeMs,
    handleProtocols,
  };
  const sockets = new WebSocketServer(settings);
  const perUser = new Map<string, number>();
  /** Sockets of nobody yet, by address. */
  const unnamed = new Map<string, Set<WebSocket>>();

  /** No longer counted by its address: it has a name, or is gone. */
  function forgetUnnamed({ socket, request }: Extra): void {
    const address = callerAddress(request, config.access.proxies);
    const sockets = unnamed.get(address);
    sockets?.delete(socket);
    if (sockets?.size === 0) unnamed.delete(address);
  }

  /** Lets a socket speak for `viewer`; false where that user has too many already. */
  function admit(extra: Extra, viewer: Viewer): boolean {
    const { socket, request } = extra;
    extra.viewer = viewer;
    const user = `${viewer.role} ${viewer.userId?.toLowerCase()}`;
    const count = perUser.get(user) ?? 0;
    if (count >= limits.perUser) return false;
    perUser.set(user, count + 1);
    forgetUnnamed(extra);
    let timer: NodeJS.Timeout | undefined;
    const endInTime = () => {
      const leftMs = (viewer.expiresAt ?? Number.POSITIVE_INFINITY) - Date.now();
      if (leftMs <= 0) socket.close(CloseCode.Forbidden, "The token has expired.");
      else timer = setTimeout(endInTime, Math.min(leftMs, LONGEST_TIMER_MS));
    };
    endInTime();
    socket.once("close", () => {
      clearTimeout(timer);
      const left = (perUser.get(user) ?? 1) - 1;
      if (left === 0) perUser.delete(user);
      else perUser.set(user, left);
    });
    engine.setViewer(request, viewer);
    return true;
  }

  async function connect(ctx: Context<ConnectionInitMessage["payload"], Extra>): Promise<boolean> {
    const { socket, request } = ctx.extra;
    const said = ctx.connectionParams?.authorization;
    let viewer: Viewer;
    try {
      const authorization = typeof said === "string" ? said : request.headers.authorization;
      viewer = await admission.admit(request, authorization);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      close(socket, CLOSE_CODES[error.status] ?? CloseCode.Forbidden, error.message);
      return false;
    }
    if (viewer.role === "bookpost_visitor") {
      socket.close(CloseCode.Forbidden, "A WebSocket needs the token of someone signed in.");
      return false;
    }
    // It may have gone while the token was looked at, and then nobody would count it off.
    if (socket.readyState !== socket.OPEN) return false;
    if (admit(ctx.extra, viewer)) return true;
    socket.close(4429, `A user has at most ${limits.perUser} WebSockets at once.`);
    return false;
  }

  const protocol = makeServer<ConnectionInitMessage["payload"], Extra>({
    ...engine.socketConfig,
    connectionInitWaitTimeout: limits.initMs,
    onConnect: connect,
    async onSubscribe(ctx, id, payload) {
      if (Object.keys(ctx.subscriptions).length > limits.subscriptions)
        return [
          new GraphQLError(
            `A WebSocket has at most ${limits.subscriptions} subscriptions at once.`,
            { extensions: { code: "TOO_MANY" } },
          ),
        ];
      try {
        if (ctx.extra.viewer) await admission.charge(ctx.extra.viewer);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return [new GraphQLError(error.message, { extensions: { code: error.code } })];
      }
      return engine.socketConfig.onSubscribe?.(ctx, id, payload);
    },
  });

  /** Sockets that have answered the last ping. */
  const alive = new Set<WebSocket>();
  const pinging = setInterval(() => {
    for (const socket of sockets.clients) {
      if (!alive.has(socket)) {
        socket.terminate();
        continue;
      }
      alive.delete(socket);
      socket.ping();
    }
  }, limits.pingMs);
  pinging.unref();

  function serve(socket: WebSocket, request: IncomingMessage): void {
    let messages = 0;
    let countedAt = Date.now();
    alive.add(socket);
    const address = callerAddress(request, config.access.proxies);
    unnamed.set(address, (unnamed.get(address) ?? new Set()).add(socket));
    socket.on("pong", () => alive.add(socket));
    // A frame too big (1009), or one that is none: ws closes it by itself.
    socket.on("error", () => {});
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) =>
          new Promise((resolve, reject) => {
            if (socket.readyState !== socket.OPEN) return resolve();
            // Resolves when it has left us: so a client that reads slowly holds its own events back, not ours.
            socket.send(data, (error) => (error ? reject(error) : resolve()));
          }),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (take) =>
          socket.on("message", async (data) => {
            if (Date.now() - countedAt > limits.pingMs) {
              messages = 0;
              countedAt = Date.now();
            }
            messages += 1;
            if (messages > limits.messages)
              return socket.close(4429, "Too many messages. Wait a minute.");
            try {
              await take(String(data));
            } catch (error) {
              log(`API: a WebSocket message failed (${(error as Error).name})`);
              socket.close(CloseCode.InternalServerError, "Something went wrong on our side.");
            }
          }),
      },
      { socket, request },
    );
    socket.once("close", (code, reason) => {
      alive.delete(socket);
      forgetUnnamed({ socket, request });
      closed(code, String(reason)).catch((error) =>
        log(`API: closing a WebSocket failed (${(error as Error).name})`),
      );
    });
  }

  return {
    upgrade(request, socket, head) {
      // A client that goes away in the middle of it is no trouble of ours.
      socket.on("error", () => {});
      const isLocal = !isOpen || isMeantForLoopback(request);
      if (request.url?.split("?", 1)[0] !== "/graphql")
        return refuse(
          socket,
          "404 Not Found",
          "NOT_FOUND",
          "There is nothing here. GraphQL is at /graphql.",
        );
      if (!isLocal || !isAllowedOrigin(request, config.allowedOrigins ?? []))
        return refuse(
          socket,
          "403 Forbidden",
          "FORBIDDEN",
          "Pages of this origin may not open a WebSocket here. Set ALLOWED_ORIGINS.",
        );
      const sameAddress = unnamed.get(callerAddress(request, config.access.proxies))?.size ?? 0;
      if (sameAddress >= limits.unnamedPerAddress)
        return refuse(
          socket,
          "429 Too Many Requests",
          "RATE_LIMITED",
          "Too many WebSockets from here have not said who they are. Send connection_init.",
        );
      if (sockets.clients.size >= limits.atOnce)
        return refuse(
          socket,
          "503 Service Unavailable",
          "UNAVAILABLE",
          "Too many WebSockets. Try again in a while.",
        );
      sockets.handleUpgrade(request, socket, head, serve);
    },
    async close() {
      clearInterval(pinging);
      // From now on it refuses upgrades by itself (503).
      sockets.close();
      const open = [...sockets.clients];
      const gone = Promise.all(open.map((socket) => once(socket, "close")));
      for (const socket of open) socket.close(1001, "The server is stopping.");
      const timer = setTimeout(() => {
        for (const socket of open) socket.terminate();
      }, STOP_GRACE_MS);
      await gone;
      clearTimeout(timer);
    },
  };
}
