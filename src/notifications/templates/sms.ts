import type { Message } from "../message.ts";

/** What a text message says: plain, and of the carrier's words nothing. */
export function smsText(message: Message): string {
  if (message.kind === "verification")
    return `${message.code} is your bookpost code. It holds for 10 minutes. Give it to nobody.`;
  if (message.kind === "test") return "This is a test by bookpost.";
  return message.news
    .map(({ book, status }) => `Your book '${book.title}' is now: ${status.replaceAll("_", " ")}`)
    .join("\n");
}
