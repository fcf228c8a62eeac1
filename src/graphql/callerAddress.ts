import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/**
 * The address that the rate limit counts a visitor by: of the socket, or, behind
 * `proxies` that each add the address they see to X-Forwarded-For, the one that
 * the outermost of them saw. What stands before it was written by the visitor.
 * Of IPv6 the first 64 bits: one household has all the rest to choose from
 * (RFC 6177). An IPv4 address in IPv6's form is the same address.
 */
export function callerAddress(
  request: Pick<IncomingMessage, "headers" | "socket">,
  proxies: number,
): string {
  const forwarded = [request.headers["x-forwarded-for"] ?? []].flat().join(",").split(",");
  const seen = proxies > 0 ? (forwarded.at(-proxies) ?? "").trim() : "";
  const address = isIP(seen) > 0 ? seen : (request.socket.remoteAddress ?? "");
  const ipv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  return isIP(address) === 6 ? network(address) : address;
}

/** The first four groups of an IPv6 address, written in full. */
function network(address: string): string {
  // The URL parser writes every address in one form, with the longest run of zeros as "::".
  const [host = "", tail] = new URL(`http://[${address.replace(/%.*$/, "")}]`).hostname
    .slice(1, -1)
    .split("::");
  const head = host === "" ? [] : host.split(":");
  const missing =
    tail === undefined ? 0 : 8 - head.length - (tail === "" ? 0 : tail.split(":").length);
  const groups = [...head, ...Array<string>(missing).fill("0"), ...(tail ? tail.split(":") : [])];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
