import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { BlockList } from "node:net";

/** IPv4 networks that are nobody's on the internet (IANA special-purpose registry); BlockList takes IPv6-mapped addresses for them as well. */
const PRIVATE_4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const;

/** The same of IPv6, and the tunnels of former days, which lead to an IPv4 address that they hide. */
const PRIVATE_6 = [
  ["::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 32],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
] as const;

const PRIVATE = new BlockList();
for (const [network, prefix] of PRIVATE_4) {
  PRIVATE.addSubnet(network, prefix, "ipv4");
  // Where there is IPv6 only, a gateway translates these to the IPv4 address at their end (RFC 6052):
  // most carriers are reached so there, and so would our own network be.
  PRIVATE.addSubnet(`64:ff9b::${network}`, 96 + prefix, "ipv6");
}
for (const [network, prefix] of PRIVATE_6) PRIVATE.addSubnet(network, prefix, "ipv6");

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
