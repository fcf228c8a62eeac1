import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { SMTPServer } from "smtp-server";
import type { Arrival } from "./arrival.ts";
import { readMail } from "./readMail.ts";

export interface MailCatcher {
  /** What SMTP_URL has to be. */
  readonly url: string;
  close(): Promise<void>;
}

/** A real SMTP server on this machine that takes every mail, hands it on, and sends it nowhere. */
export async function startMailCatcher(
  onArrival: (arrival: Arrival) => void,
): Promise<MailCatcher> {
  const catcher = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onData(stream, session, done) {
      text(stream).then((raw) => {
        const { subject, lines } = readMail(raw);
        for (const { address } of session.envelope.rcptTo)
          onArrival({ channel: "email", to: address, headline: subject, lines });
        done();
      }, done);
    },
  });
  // Who hangs up in the middle is no trouble of the demo's.
  catcher.on("error", () => {});
  const listening = once(catcher.server, "listening");
  catcher.listen(0, "127.0.0.1");
  await listening;
  const { port } = catcher.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => catcher.close(() => resolve())),
  };
}
