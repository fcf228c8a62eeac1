import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { type BlockList, isIP } from "node:net";
import { isPublicAddress } from "../carriers/publicLookup.ts";

/** Why an endpoint is not connected to. The sentence names no address: what a name resolves to inside is not the endpoint owner's to learn. */
export class EndpointRefused extends Error {
  override name = "EndpointRefused";
  readonly code = "ENDPOINT_REFUSED";
}

/** What a connection is about to be made to. */
export interface Target {
  readonly protocol: string;
  /** A name or an address, IPv6 with or without brackets. */
  readonly hostname: string;
}

export type Lookup = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

type NodeLookup = (
  hostname: string,
  options: LookupOptions,
  callback: (
    error: NodeJS.ErrnoException | null,
    address: string | LookupAddress[],
    family?: number,
  ) => void,
) => void;

/**
 * Keeps messages out of networks that are not the endpoint owner's to reach:
 * https goes to public addresses and to allowed networks, http to allowed
 * networks only. Any port will do: outside, nothing is sent before TLS is
 * agreed upon and the certificate checked; inside, the operator has named the
 * network.
 */
export interface WebhookGuard {
  /** Why this is refused for certain, before any name is resolved; null: it may be tried. */
  why(target: Target): EndpointRefused | null;
  /** `dns.lookup` that gives allowed addresses only, asked at connect time: what was checked is what is connected to. */
  lookupFor(protocol: string): NodeLookup;
}

const HTTP = "http is only for networks that WEBHOOK_ALLOWED_NETWORKS names; use https";
const INSIDE = "which WEBHOOK_ALLOWED_NETWORKS does not name";

/** @param resolve left out: the system's own resolver */
export function createWebhookGuard(
  allowedNetworks: BlockList,
  resolve: Lookup = lookup,
): WebhookGuard {
  const isAllowed = (protocol: string, address: string) =>
    allowedNetworks.check(address, address.includes(":") ? "ipv6" : "ipv4") ||
    (protocol === "https:" && isPublicAddress(address));
  return {
    why({ protocol, hostname }) {
      if (protocol !== "https:" && protocol !== "http:")
        return new EndpointRefused("only https and http are spoken");
      const address = hostname.replace(/^\[|\]$/g, "");
      if (isIP(address) === 0) {
        const isHttpAnywhere = allowedNetworks.rules.length > 0;
        return protocol === "https:" || isHttpAnywhere ? null : new EndpointRefused(HTTP);
      }
      if (isAllowed(protocol, address)) return null;
      return new EndpointRefused(
        isPublicAddress(address) ? HTTP : `its address is in a private network, ${INSIDE}`,
      );
    },
    lookupFor: (protocol) => (hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        if (error) return callback(error, []);
        const allowed = addresses.filter(({ address }) => isAllowed(protocol, address));
        const [first] = allowed;
        if (first === undefined)
          return callback(
            new EndpointRefused(
              protocol === "http:" && addresses.some(({ address }) => isPublicAddress(address))
                ? HTTP
                : `its name leads into a private network, ${INSIDE}`,
            ),
            [],
          );
        if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      });
    },
  };
}
