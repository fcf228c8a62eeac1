import { expect, test } from "vitest";
import { callerAddress } from "../../src/graphql/callerAddress.ts";

function addressOf(socket: string, forwarded: string | undefined, proxies: number): string {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return callerAddress(
    { headers, socket: { remoteAddress: socket } } as Parameters<typeof callerAddress>[0],
    proxies,
  );
}

test.each([
  ["what a stranger writes is not believed", "192.0.2.1", "198.51.100.7", 0, "192.0.2.1"],
  ["behind one proxy it is what the proxy saw", "10.0.0.1", "198.51.100.7", 1, "198.51.100.7"],
  [
    "what stands before that was written by the visitor",
    "10.0.0.1",
    "1.1.1.1, 198.51.100.7",
    1,
    "198.51.100.7",
  ],
  [
    "behind two it is what the outer one saw",
    "10.0.0.2",
    "1.1.1.1, 198.51.100.7, 10.0.0.1",
    2,
    "198.51.100.7",
  ],
  ["a list that is too short is no proxy's", "10.0.0.1", "198.51.100.7", 2, "10.0.0.1"],
  ["nor is one that holds no address", "10.0.0.1", "unknown", 1, "10.0.0.1"],
  ["nor one that is missing", "10.0.0.1", undefined, 1, "10.0.0.1"],
  ["IPv4 in the form of IPv6 is IPv4", "::ffff:192.0.2.1", undefined, 0, "192.0.2.1"],
  ["a household of IPv6 is one", "2001:db8:1:2:3:4:5:6", undefined, 0, "2001:db8:1:2::/64"],
  ["however it is written", "2001:DB8:1:2::9", undefined, 0, "2001:db8:1:2::/64"],
  ["with zeros", "2001:db8::1", undefined, 0, "2001:db8:0:0::/64"],
  ["at the end too", "2001:db8:1:2::", undefined, 0, "2001:db8:1:2::/64"],
  ["this machine", "::1", undefined, 0, "0:0:0:0::/64"],
  ["with a zone", "fe80::1%eth0", undefined, 0, "fe80:0:0:0::/64"],
])("%s", (_what, socket, forwarded, proxies, address) => {
  expect(addressOf(socket, forwarded, proxies)).toBe(address);
});
