import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { Webhook } from "standardwebhooks";
import { webhookEvent } from "../../src/notifications/webhookEvent.ts";

/** A message that was received whole. */
export interface Arrival {
  readonly channel: "email" | "webhook";
  /** Of Message-ID or webhook-id: the delivery's. */
  readonly id: string;
  /** Of a webhook: what tells its bytes from others. */
  readonly digest: string | null;
}

/** What a receiver does with a message that it has whole. */
export type Answer = "take it" | "lose it and hang up" | "take it and hang up";

/** A mail server and an app's receiver of webhooks, whose own logs say what has arrived. */
export interface Receivers {
  /** For the worker. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the endpoint is to be registered. */
  readonly url: string;
  /** The endpoint's secret: without it nothing verifies. */
  trust(secret: string): void;
  readonly arrivals: readonly Arrival[];
  /** Requests that the Standard Webhooks library or our own schema refused. */
  readonly refused: readonly string[];
  /** When the next message is there whole, this happens before it is answered. Resolves once it has. */
  atNext(act: () => Promise<Answer>): Promise<void>;
  close(): Promise<void>;
}

/** Starts both on free ports of 127.0.0.1. */
export async function startReceivers(): Promise<Receivers> {
  const arrivals: Arrival[] = [];
  const refused: string[] = [];
  let secret = "";
  let next: (() => Promise<Answer>) | null = null;

  /** Says whether it is to be answered. */
  async function receive(arrival: Arrival): Promise<boolean> {
    const act = next;
    next = null;
    const answer = act === null ? "take it" : await act();
    if (answer !== "lose it and hang up") arrivals.push(arrival);
    return answer === "take it";
  }

  const sockets = new Map<number, Socket>();
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onData(stream, session, done) {
      const taking = simpleParser(stream).then(async ({ messageId = "" }) => {
        const [, id = messageId] = /^<([^@]+)@/.exec(messageId) ?? [];
        if (await receive({ channel: "email", id, digest: null })) done();
        else sockets.get(session.remotePort)?.destroy();
      });
      taking.catch(done);
    },
  });
  smtp.on("error", () => {});
  smtp.server.on("connection", (socket: Socket) => {
    const { remotePort = 0 } = socket;
    sockets.set(remotePort, socket);
    socket.once("close", () => sockets.delete(remotePort));
  });
  smtp.listen(0, "127.0.0.1");
  await once(smtp.server, "listening");

  const http = createServer(async (request, response) => {
    const bytes = await buffer(request);
    const headers = request.headers as Record<string, string>;
    try {
      webhookEvent.parse(new Webhook(secret).verify(bytes, headers));
    } catch (error) {
      refused.push(String(error));
      response.writeHead(400).end();
      return;
    }
    const digest = createHash("sha256").update(bytes).digest("hex");
    const id = headers["webhook-id"] ?? "";
    if (await receive({ channel: "webhook", id, digest })) response.writeHead(204).end();
    else request.socket.destroy();
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");

  return {
    environment: {
      SMTP_URL: `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}`,
      WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8",
    },
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/hooks`,
    trust(it) {
      secret = it;
    },
    arrivals,
    refused,
    atNext: (act) =>
      new Promise((resolve, reject) => {
        next = async () => {
          try {
            const answer = await act();
            resolve();
            return answer;
          } catch (error) {
            reject(error);
            return "lose it and hang up";
          }
        };
      }),
    async close() {
      for (const socket of sockets.values()) socket.destroy();
      http.closeAllConnections();
      await Promise.all([
        new Promise<void>((done) => smtp.close(() => done())),
        new Promise((done) => http.close(done)),
      ]);
    },
  };
}
