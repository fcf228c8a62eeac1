import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A TCP link to a database that a test can break in the ways links break. */
export interface Link {
  /** The database's address by way of this link. */
  readonly url: string;
  /** The connections there are now stay open at both ends and carry nothing any more; later ones are well. */
  blackhole(): void;
  /** Resets the connections there are now. */
  cut(): void;
  /** As when the server is gone: all connections end and new ones are refused. */
  refuse(): Promise<void>;
  /** Takes connections again. */
  accept(): Promise<void>;
  /** From the moment a client sends bytes with this text in them, nothing of that connection reaches the server. */
  holdFrom(text: string): void;
  /** How many connections are held. */
  heldCount(): number;
  /** Delivers what was held of connections that are still open. */
  deliver(): void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  isDead: boolean;
  held: Buffer[] | null;
}

/** Opens it for this test. */
export async function openLink(databaseUrl: string): Promise<Link> {
  const target = new URL(databaseUrl);
  const pairs = new Set<Pair>();
  let holdText: string | null = null;

  const join = (client: Socket) => {
    const server = connect(Number(target.port), target.hostname);
    const pair: Pair = { client, server, isDead: false, held: null };
    pairs.add(pair);
    client.on("data", (bytes) => {
      if (pair.isDead) return;
      if (holdText !== null && bytes.includes(holdText)) pair.held ??= [];
      if (pair.held) pair.held.push(bytes);
      else server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (!pair.isDead) client.write(bytes);
    });
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
  };
  const cut = () => {
    for (const { client } of pairs) client.resetAndDestroy();
  };

  const listen = async (port: number): Promise<Server> => {
    const server = createServer(join).listen(port, "127.0.0.1");
    await once(server, "listening");
    return server;
  };
  let listener = await listen(0);
  const { port } = listener.address() as AddressInfo;
  onTestFinished(() => {
    listener.close();
    cut();
  });

  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return {
    url: url.href,
    blackhole() {
      for (const pair of pairs) pair.isDead = true;
    },
    cut,
    async refuse() {
      const closed = once(listener, "close");
      listener.close();
      cut();
      await closed;
    },
    async accept() {
      listener = await listen(port);
    },
    holdFrom(text) {
      holdText = text;
    },
    heldCount: () => [...pairs].filter(({ held }) => held).length,
    deliver() {
      holdText = null;
      for (const pair of pairs) {
        for (const bytes of pair.held ?? []) pair.server.write(bytes);
        pair.held = null;
      }
    },
  };
}
