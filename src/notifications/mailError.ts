import { cleanText } from "../carriers/cleanText.ts";
import type { SendFailure, SendResult } from "./channel.ts";

/** What nodemailer tells of a failure: its own code, and where the server answered, that and to what. */
interface MailError extends Error {
  readonly code?: string;
  readonly command?: string;
  readonly responseCode?: number;
  readonly response?: string;
}

/** The server's reply is a line of at most this. Chosen: what a person reads of it. */
const MAX_REPLY = 200;

/** Enhanced status codes (RFC 3463) of an address that is not there: bad mailbox, system, syntax, moved, no mail taken. */
const NO_SUCH_ADDRESS = /^5\.1\.(0|1|2|3|6|10)$/;
/** The sender is refused, whatever the command: bad sender's syntax or system. */
const BAD_SENDER = /^5\.1\.[78]$/;

/** Nodemailer's codes where no reply of the server says more. */
const BY_CODE: Readonly<Record<string, readonly [SendFailure, string]>> = {
  EDNS: ["local", "The mail server's name was not found."],
  EAUTH: ["misconfigured", "The mail server refused the login."],
  ENOAUTH: ["misconfigured", "The mail server wants a login."],
  ECONFIG: ["misconfigured", "SMTP_URL cannot be used."],
  EREQUIRETLS: [
    "misconfigured",
    "The mail server does not offer the encryption that SMTP_URL asks for.",
  ],
  EENVELOPE: ["refused", "The address cannot be used in an email."],
  EMESSAGE: ["refused", "The message is bigger than the mail server allows."],
  ESTREAM: ["local", "The message could not be written."],
  ETLS: ["unavailable", "The encrypted connection to the mail server failed."],
  ETIMEDOUT: ["unavailable", "The mail server did not answer in time."],
};

/** How an attempt to send an email has failed. The sentence has no address in it, though replies repeat them. */
export function mailError(error: Error, address: string): SendResult {
  const { code = "", command = "", responseCode = 0, response = "" } = error as MailError;
  if (responseCode >= 400) {
    const [outcome, what] = byReply(code, command, responseCode, enhancedCode(response));
    return { outcome, error: `The mail server ${what}: ${withoutAddress(response, address)}` };
  }
  const [outcome, sentence] = BY_CODE[code] ?? [
    "unavailable",
    "The connection to the mail server failed or broke off.",
  ];
  return { outcome, error: sentence };
}

function byReply(
  code: string,
  command: string,
  reply: number,
  enhanced: string | null,
): readonly [SendFailure, string] {
  // 421: "service not available, closing", in answer to anything (RFC 5321, 3.8).
  if (reply === 421) return ["unavailable", "is closing"];
  if (code === "EAUTH")
    return reply < 500
      ? ["unavailable", "cannot check the login now"]
      : ["misconfigured", "refused the login"];
  // The greeting, HELO, STARTTLS: nothing of this message was looked at.
  if (code !== "EENVELOPE" && code !== "EMESSAGE") return ["unavailable", "does not take messages"];
  if (reply < 500) return ["deferred", "does not take the message now"];
  if (reply === 530 || reply === 535) return ["misconfigured", "wants a login"];
  if (command === "MAIL FROM" || (enhanced !== null && BAD_SENDER.test(enhanced)))
    return ["misconfigured", "refused the sender"];
  if (command === "RCPT TO") {
    // With 5.7.x the same replies mean a policy: the address may be good.
    const isUnknown =
      enhanced === null ? [550, 551, 553].includes(reply) : NO_SUCH_ADDRESS.test(enhanced);
    return isUnknown
      ? ["no_such_address", "does not know the address"]
      : ["refused", "refused the recipient"];
  }
  return ["refused", "refused the message"];
}

function enhancedCode(response: string): string | null {
  return /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(response)?.[1] ?? null;
}

function withoutAddress(response: string, address: string): string {
  const local = (address.split("@")[0] ?? "").replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  const text = (cleanText(response) ?? "").replaceAll(/\S*@\S*/g, "…");
  const masked =
    local === ""
      ? text
      : text.replaceAll(new RegExp(`(?<![\\p{L}\\p{N}])${local}(?![\\p{L}\\p{N}])`, "giu"), "…");
  return masked.slice(0, MAX_REPLY).toWellFormed();
}
