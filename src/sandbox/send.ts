import type { ServerResponse } from "node:http";
import type { WireReply } from "./wire.ts";

/** Sends a whole reply. */
export function send(
  response: ServerResponse,
  { status, headers, body }: WireReply,
  { retryAfter }: { readonly retryAfter?: string | undefined } = {},
): void {
  response.writeHead(status, {
    "content-type": "application/json",
    ...headers,
    ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }),
  });
  response.end(bodyText({ body }));
}

export function bodyText({ body }: Pick<WireReply, "body">): string {
  return typeof body === "string" ? body : JSON.stringify(body);
}
