const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * A base URL that requests may be joined to, or null: https, or plain http on
 * this machine for a sandbox; no user, query or fragment.
 */
export function parseBaseUrl(text: string): URL | null {
  const url = URL.parse(text);
  if (url === null || url.username || url.password || url.search || url.hash) return null;
  const isSafe =
    url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname));
  return isSafe ? url : null;
}
