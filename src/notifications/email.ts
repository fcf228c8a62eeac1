import { Transform } from "node:stream";
import nodemailer, { type SendMailOptions } from "nodemailer";
import { parseConnectionUrl } from "nodemailer/lib/shared";
import type { EmailConfig } from "../notificationConfig.ts";
import type { Channel, SendResult } from "./channel.ts";
import { mailError } from "./mailError.ts";
import type { Message, Person } from "./message.ts";
import { emailOf } from "./templates/email.ts";
import { inert } from "./templates/inert.ts";

/** Milliseconds. The first three end what hangs at a step; `whole` ends a server that trickles, within the contract's 45 s. Chosen. */
const TIMEOUTS = { connect: 10_000, greeting: 10_000, silence: 20_000, whole: 40_000 } as const;

/** As many as the database lets one worker send at once (channels.queues). */
const CONNECTIONS = 5;

/**
 * Email by SMTP, over connections that are kept. The Message-ID is the
 * delivery's: a program that has it already may show it once, but SMTP has no
 * idempotency key, so where a connection breaks after the text and before the
 * reply the message is sent again. `options.whole` (milliseconds) is for tests.
 */
export function createEmailChannel(
  config: EmailConfig,
  options: { readonly whole?: number } = {},
): Channel {
  const { whole = TIMEOUTS.whole } = options;
  const from = senderOf(config.from);
  const transport = nodemailer.createTransport({
    ...parseConnectionUrl(config.smtpUrl.reveal()),
    pool: true,
    maxConnections: CONNECTIONS,
    // A kept connection that the server has dropped: once more, and only where not a byte of the message went out.
    maxRequeues: 1,
    dnsTimeout: TIMEOUTS.connect,
    connectionTimeout: TIMEOUTS.connect,
    greetingTimeout: TIMEOUTS.greeting,
    socketTimeout: TIMEOUTS.silence,
    disableFileAccess: true,
    disableUrlAccess: true,
    logger: false,
    debug: false,
  });
  // An idle connection that breaks is opened anew at the next message; the errors of a message come with it.
  transport.on("error", () => {});
  transport.use("stream", (mail, done) => {
    const { onBegin, onWhole } = mail.data as { onBegin?: () => void; onWhole?: () => void };
    mail.message.transform(
      () =>
        new Transform({
          transform(chunk, _encoding, next) {
            onBegin?.();
            next(null, chunk);
          },
          flush(next) {
            onWhole?.();
            next();
          },
        }),
    );
    done();
  });

  return {
    code: "email",
    async send(message, signal) {
      const { person } = message;
      if (person === null || person.email === null)
        return { outcome: "refused", error: "The person has no email address." };
      if (signal.aborted) return STOPPED;
      const deadline = AbortSignal.timeout(whole);
      const stop = new AbortController();
      const onStop = () => stop.abort();
      let isWhole = false;
      signal.addEventListener("abort", onStop, { once: true });
      try {
        const info = await transport.sendMail({
          ...mailOf({ ...message, person }, from, config.publicUrl),
          signal: AbortSignal.any([deadline, stop.signal]),
          // From now on it may have arrived: a stop waits for the reply.
          onBegin: () => signal.removeEventListener("abort", onStop),
          // From now on the server may take it for complete.
          onWhole: () => {
            isWhole = true;
          },
        } as SendMailOptions);
        return { outcome: "sent", providerId: info.messageId ?? null };
      } catch (error) {
        if (stop.signal.aborted) return STOPPED;
        if (deadline.aborted)
          return {
            outcome: isWhole ? "unanswered" : "unavailable",
            error: `The mail server did not finish within ${whole / 1000} seconds.`,
          };
        const failure = mailError(error as Error, person.email);
        // A reply is an answer; without one nobody knows.
        const isAnswered = (error as { responseCode?: number }).responseCode !== undefined;
        return isWhole && !isAnswered && failure.outcome === "unavailable"
          ? { ...failure, outcome: "unanswered" }
          : failure;
      } finally {
        signal.removeEventListener("abort", onStop);
      }
    },
    async close() {
      transport.close();
    },
  };
}

const STOPPED: SendResult = {
  outcome: "local",
  error: "The worker was stopped before it was sent.",
};

interface Sender {
  readonly name: string;
  readonly address: string;
}

/** "Name <address>" or an address; the configuration has checked it. */
function senderOf(from: string): Sender {
  const [, name = "", address = from] = /^(.+) <(.+)>$/.exec(from) ?? [];
  return { name, address };
}

function mailOf(
  message: Message & { readonly person: Person },
  from: Sender,
  publicUrl: string | null,
): SendMailOptions {
  const { person, news } = message;
  const host = from.address.split("@")[1] ?? "localhost";
  const page =
    publicUrl === null || person.unsubscribeToken === null
      ? null
      : `${publicUrl}/unsubscribe/${person.unsubscribeToken}`;
  const parcels = [...new Set(news.map(({ parcel }) => parcel.id))];
  return {
    ...emailOf(message, page),
    from,
    // An object: a name or address is never read as a list of more.
    to: { name: inert(person.name) ?? "", address: person.email ?? "" },
    messageId: `<${message.id}@${host}>`,
    // Programs show the mails of one parcel together. No mail has this id; RFC 5322, 3.6.4 allows that.
    ...(parcels.length === 1 && { references: `<parcel.${parcels[0]}@${host}>` }),
    headers: {
      "Auto-Submitted": "auto-generated",
      "List-Unsubscribe":
        page === null ? `<mailto:${from.address}?subject=unsubscribe>` : `<${page}>`,
      // RFC 8058 wants https.
      ...(page?.startsWith("https:") && {
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
      }),
    },
  };
}
