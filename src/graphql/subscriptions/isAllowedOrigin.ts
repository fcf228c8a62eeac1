import type { IncomingMessage } from "node:http";

/**
 * Whether a WebSocket may come from the page that opens it. Browsers let every
 * page open one to anywhere and only say whose page it is; others say nothing.
 * Allowed are pages of this very host, and those of `allowed`.
 */
export function isAllowedOrigin(request: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined || allowed.includes(origin)) return true;
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}
