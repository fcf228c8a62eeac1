import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { until } from "../helpers/until.ts";

/** A plain TCP server that sends back what it receives, for tests of the line itself. */
export interface EchoServer {
  readonly url: string;
  readonly port: number;
  /** All it has received, by chunk. */
  readonly chunks: readonly string[];
  /** Sends something unasked, to everybody. */
  push(text: string): void;
  /** How many clients it believes to be there. */
  readonly clientCount: number;
}

/** Starts one for this test. `prefix` goes before each echo, to tell servers apart. */
export async function startEchoServer(prefix = ""): Promise<EchoServer> {
  const chunks: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      chunks.push(bytes.toString());
      socket.write(prefix + bytes.toString());
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `tcp://127.0.0.1:${port}`,
    port,
    chunks,
    push(text) {
      for (const socket of sockets) socket.write(text);
    },
    get clientCount() {
      return sockets.size;
    },
  };
}

/** A client that keeps what it hears, and how it ended. */
export interface EchoClient {
  readonly received: string;
  /** Null while it is open. */
  readonly end: "closed" | "reset" | "refused" | null;
  send(text: string): void;
  /** Waits until it has received this, all in all. */
  hears(text: string): Promise<void>;
  /** Waits until it has ended, and gives how. */
  ended(): Promise<"closed" | "reset" | "refused">;
  hangUp(): void;
}

/** Opens a client for this test. */
export function openEchoClient(port: number): EchoClient {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  let end: EchoClient["end"] = null;
  socket.on("data", (bytes) => {
    received += bytes.toString();
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    end ??= error.code === "ECONNREFUSED" ? "refused" : "reset";
  });
  socket.on("close", () => {
    end ??= "closed";
  });
  onTestFinished(() => {
    socket.destroy();
  });
  return {
    get received() {
      return received;
    },
    get end() {
      return end;
    },
    send: (text) => void socket.write(text),
    hears: (text) => until(`it hears "${text}"`, async () => received === text).then(() => {}),
    ended: () => until("it has ended", async () => end),
    hangUp: () => void socket.end(),
  };
}
