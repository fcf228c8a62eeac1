/** Chosen: enough to know what it is about. */
const SHOWN_LINES = 2;

/** The subject of an email, and the first lines of its plain text that say more. For mail of our own: a form it does not know is shown as it came. */
export function readMail(raw: string): { subject: string; lines: readonly string[] } {
  const { headers } = partOf(raw);
  const subject = decodeWords(headers.get("subject") ?? "");
  const lines = plainTextOf(raw)
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && line !== subject)
    .slice(0, SHOWN_LINES);
  return { subject, lines };
}

function partOf(raw: string): { headers: ReadonlyMap<string, string>; body: string } {
  const [, head = raw, body = ""] = /^([\s\S]*?)\r?\n\r?\n([\s\S]*)$/.exec(raw) ?? [];
  const headers = head
    // A line that begins with a blank belongs to the one before it (RFC 5322, section 2.2.3).
    .replaceAll(/\r?\n(?=[ \t])/g, "")
    .split(/\r?\n/)
    .map((line) => /^([^:]+):\s*(.*)$/.exec(line))
    .map((found) => [found?.[1]?.toLowerCase() ?? "", found?.[2] ?? ""] as const);
  return { headers: new Map(headers), body };
}

/** The first part that is plain text; a mail has its plain text before its HTML. */
function plainTextOf(raw: string): string {
  const { headers, body } = partOf(raw);
  const type = headers.get("content-type") ?? "text/plain";
  const [, boundary] = /^multipart\/.*boundary="?([^";]+)"?/i.exec(type) ?? [];
  if (boundary !== undefined) {
    const parts = body.split(`--${boundary}`).slice(1, -1);
    return parts.map((part) => plainTextOf(part.replace(/^\r?\n/, ""))).find(Boolean) ?? "";
  }
  if (!/^text\/plain/i.test(type)) return "";
  switch (headers.get("content-transfer-encoding")?.toLowerCase()) {
    case "base64":
      return Buffer.from(body, "base64").toString();
    case "quoted-printable":
      return unquote(body.replaceAll(/=\r?\n/g, ""));
    default:
      return body;
  }
}

/** "=?UTF-8?Q?=C3=89mile?=" → "Émile" (RFC 2047); blanks between two such words are none. */
function decodeWords(text: string): string {
  return text
    .replaceAll(/\?=\s+=\?/g, "?==?")
    .replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, form: string, word: string) =>
      form.toLowerCase() === "b"
        ? Buffer.from(word, "base64").toString()
        : unquote(word.replaceAll("_", " ")),
    );
}

function unquote(text: string): string {
  return text.replaceAll(/(?:=[0-9a-f]{2})+/gi, (bytes) =>
    Buffer.from(bytes.replaceAll("=", ""), "hex").toString(),
  );
}
