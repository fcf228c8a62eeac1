import { expect, test } from "vitest";
import { httpsUrl } from "../../src/carriers/httpsUrl.ts";

test.each([
  ["https://www.dhl.de/track?n=1", "https://www.dhl.de/track?n=1"],
  ["https://dhl.de/\u202egnp.exe\n", "https://dhl.de/%E2%80%AEgnp.exe"],
  ["http://www.dhl.de/", null],
  ["javascript:alert(1)", null],
  ["https://dhl.de@evil.example/", null],
  [`https://dhl.de/${"x".repeat(2_000)}`, null],
  ["dhl.de", null],
  ["", null],
  [undefined, null],
])("%j becomes %j", (text, url) => {
  expect(httpsUrl(text)).toBe(url);
});
