import { once } from "node:events";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";

/** How a WebSocket ended. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

export interface TestSocket {
  readonly socket: WebSocket;
  readonly closed: Promise<Closing>;
  send(message: unknown): void;
  /** The next message of the server, in order; fails where the socket is closed before it. */
  next(): Promise<Record<string, unknown>>;
  /** Says who it is and waits for the answer. */
  init(token?: string): Promise<void>;
  /** Subscribes; `next` then gives its events. */
  subscribe(query: string, id?: string, variables?: Record<string, unknown>): void;
  /** The next event of any subscription: its data, or its errors. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came.
  event(): Promise<any>;
}

/** A WebSocket to the API that speaks graphql-transport-ws by hand, so that a test may also speak it wrongly. */
export async function openSocket(
  url: string,
  options: {
    headers?: Record<string, string>;
    path?: string;
    protocol?: string;
    /** Left open when the test ends, for one made before the tests. */
    outlivesTest?: boolean;
    /** Whether pings are answered; false: as by a peer that is gone without a word. */
    autoPong?: boolean;
  } = {},
): Promise<TestSocket> {
  const { headers, path = "/graphql", protocol = "graphql-transport-ws" } = options;
  const address = `${url.replace("http", "ws")}${path}`;
  const { autoPong = true } = options;
  const socket = new WebSocket(address, protocol, { headers, autoPong });
  if (!options.outlivesTest) onTestFinished(() => socket.terminate());
  const messages: Record<string, unknown>[] = [];
  let arrived = Promise.withResolvers<void>();
  socket.on("message", (data) => {
    messages.push(JSON.parse(String(data)));
    arrived.resolve();
  });
  const closed = new Promise<Closing>((resolve) => {
    socket.once("close", (code, reason) => resolve({ code, reason: String(reason) }));
  });
  const refused = new Promise<never>((_, reject) => {
    socket.once("unexpected-response", (_request, response) => {
      const error = new Error(`refused with ${response.statusCode}`);
      reject(Object.assign(error, { status: response.statusCode }));
      response.destroy();
    });
    socket.once("error", reject);
  });
  refused.catch(() => {});
  await Promise.race([once(socket, "open"), refused]);
  const self: TestSocket = {
    socket,
    closed,
    send: (message) => socket.send(JSON.stringify(message)),
    async next() {
      for (;;) {
        const message = messages.shift();
        if (message) return message;
        arrived = Promise.withResolvers();
        const { code, reason } = (await Promise.race([arrived.promise, closed])) ?? {};
        if (code !== undefined && messages.length === 0)
          throw new Error(`the socket was closed: ${code} ${reason}`);
      }
    },
    async init(token) {
      self.send({
        type: "connection_init",
        ...(token && { payload: { authorization: `Bearer ${token}` } }),
      });
      const { type } = await self.next();
      if (type !== "connection_ack") throw new Error(`instead of an ack: ${type}`);
    },
    subscribe: (query, id = "1", variables = {}) =>
      self.send({ type: "subscribe", id, payload: { query, variables } }),
    async event() {
      const { payload } = await self.next();
      return payload;
    },
  };
  return self;
}
