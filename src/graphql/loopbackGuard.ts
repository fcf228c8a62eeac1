import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { UsageError } from "../errors.ts";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

function isLoopback(name: string): boolean {
  const family = isIP(name);
  return family === 0 ? name === "localhost" : LOOPBACK.check(name, family === 6 ? "ipv6" : "ipv4");
}

/**
 * Without a secret everybody is the operator, so only this machine may ask.
 * @throws UsageError when `host` is anything but a loopback address.
 */
export function requireLoopback(host: string): void {
  if (isLoopback(host)) return;
  throw new UsageError(
    "NO_JWT_SECRET",
    `HOST is "${host}", and without JWT_SECRET everyone who reaches the API sees every owner's books. Set JWT_SECRET, or leave HOST at 127.0.0.1.`,
  );
}

/**
 * Whether a request was meant for this machine. A web page somewhere can have
 * its name point at 127.0.0.1 and then ask us from the visitor's own browser;
 * but the browser still says that name in Host, and whose page it is in Origin.
 */
export function isMeantForLoopback(request: IncomingMessage): boolean {
  const host = request.headers.host?.toLowerCase() ?? "";
  const origin = request.headers.origin;
  const name = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/.exec(host);
  return (
    name !== null &&
    isLoopback(name[1] ?? name[2] ?? "") &&
    (origin === undefined || origin === `http://${host}`)
  );
}
