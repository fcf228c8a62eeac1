import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { onTestFinished } from "vitest";

export interface MailServer {
  readonly port: number;
  /** What has arrived, read by a parser of its own. */
  readonly mails: readonly ParsedMail[];
  readonly recipients: readonly string[];
  /** Connections that were opened so far, and those still open. */
  readonly connections: { opened: number; open: number };
}

/** A reply other than "250": `onRcptTo: (_a, _s, done) => done(reply(550, "5.1.1 no such user"))`. */
export function reply(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/** A real SMTP server on a free port, ended with the test. */
export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const mails: ParsedMail[] = [];
  const recipients: string[] = [];
  const connections = { opened: 0, open: 0 };
  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    disabledCommands: ["STARTTLS"],
    // What is tested is our half; the code of a reply is as the test gives it.
    hideENHANCEDSTATUSCODES: true,
    onConnect(_session, done) {
      connections.opened++;
      connections.open++;
      done();
    },
    onClose() {
      connections.open--;
    },
    onData(stream, session, done) {
      simpleParser(stream).then((mail) => {
        mails.push(mail);
        recipients.push(...session.envelope.rcptTo.map(({ address }) => address));
        done();
      }, done);
    },
    ...options,
  } as SMTPServerOptions);
  server.on("error", () => {});
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  onTestFinished(() => new Promise<void>((done) => server.close(() => done())));
  return { port: (server.server.address() as AddressInfo).port, mails, recipients, connections };
}

/** A server that says what `talk` makes it say, for what a well-behaved one cannot be brought to. */
export async function startRawServer(talk: (socket: Socket) => void): Promise<{ port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    talk(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return { port: (server.address() as AddressInfo).port };
}
