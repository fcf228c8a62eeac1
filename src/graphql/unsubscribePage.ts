import type { IncomingMessage, ServerResponse } from "node:http";
import { refuse } from "./answer.ts";
import { MAX_BODY_BYTES } from "./limits.ts";

/** The page needs nothing from anywhere, may not be framed, and its address (with the token) is told to nobody. */
const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
} as const;

/** GET changes nothing: mail scanners follow every link. */
const QUESTION = `<p>Stop all emails from bookpost about your books?</p>
<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click"><button>Stop these emails</button></form>`;

const DONE = "<p>You will get no more emails from bookpost.</p>";

const UNKNOWN =
  "<p>This link is not known here, so nothing was changed. Use the link of a newer email, or ask whoever runs this bookpost.</p>";

/**
 * Answers an email's link to unsubscribe. GET and HEAD show a page with a
 * button; POST ends the emails, as that button and as mail programs send it
 * (RFC 8058). The body is not looked at: only the token counts.
 */
export async function answerUnsubscribe(
  request: IncomingMessage,
  response: ServerResponse,
  token: string,
  unsubscribe: (token: string) => Promise<boolean>,
): Promise<void> {
  if (request.method === "GET" || request.method === "HEAD") return show(response, 200, QUESTION);
  if (request.method !== "POST")
    return refuse(response, 405, "METHOD_NOT_ALLOWED", "Send a GET or a POST.", {
      allow: "GET, HEAD, POST",
    });
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES)
    return refuse(response, 413, "BODY_TOO_BIG", `A request has at most ${MAX_BODY_BYTES} bytes.`, {
      connection: "close",
    });
  const isKnown = await unsubscribe(token);
  show(response, isKnown ? 200 : 404, isKnown ? DONE : UNKNOWN);
}

function show(response: ServerResponse, status: number, content: string): void {
  const bytes = Buffer.from(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>bookpost</title></head>
<body>
${content}
</body>
</html>
`);
  response.writeHead(status, { ...HEADERS, "content-length": bytes.length });
  response.end(bytes);
}
