import { expect, test } from "vitest";
import { isPublicAddress, publicLookup } from "../../src/carriers/publicLookup.ts";

test.each([
  "127.0.0.1",
  "10.1.2.3",
  "172.31.255.255",
  "192.168.0.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "::ffff:127.0.0.1",
  "::ffff:10.0.0.1",
  "fe80::1",
  "fd00::1",
  "ff02::1",
  "::ffff:169.254.169.254",
  "::127.0.0.1",
  "64:ff9b::127.0.0.1",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b:1::1",
  "2002:7f00:1::1",
  "2001::1",
  "fec0::1",
  "198.18.0.1",
  "203.0.113.9",
])("%s is private", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each([
  "8.8.8.8",
  "172.32.0.1",
  "100.128.0.1",
  "198.20.0.1",
  "2606:4700::1111",
  "2001:4860:4860::8888",
  "::ffff:8.8.8.8",
  "64:ff9b::8.8.8.8",
])("%s is public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test("a name that leads to this machine is refused before anything is sent", async () => {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | null>();
  publicLookup("localhost", {}, resolve);
  expect(await promise).toMatchObject({ code: "PRIVATE_ADDRESS" });
});
