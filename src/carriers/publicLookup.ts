import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { BlockList } from "node:net";

/** Networks that are nobody's on the internet (IANA special-purpose registries); IPv4 rules also catch mapped IPv6. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
] as const)
  PRIVATE.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  PRIVATE.addSubnet(network, prefix, "ipv6");

export function isPublicAddress(address: string): boolean {
  return !PRIVATE.check(address, address.includes(":") ? "ipv6" : "ipv4");
}

type Callback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/**
 * `dns.lookup` for a carrier's own host, refusing answers that lead inside: a
 * name server that lies must not make us talk to our own network. Asked at
 * connect time, so what was checked is what is connected to.
 */
export function publicLookup(hostname: string, options: LookupOptions, callback: Callback): void {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, []);
    const allowed = addresses.filter(({ address }) => isPublicAddress(address));
    const [first] = allowed;
    if (first === undefined)
      return callback(
        Object.assign(new Error(`${hostname} leads to a private address`), {
          code: "PRIVATE_ADDRESS",
        }),
        [],
      );
    if (options.all) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
}
