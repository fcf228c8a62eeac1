import { expect, test } from "vitest";
import { sortNetworkError } from "../../src/carriers/sortNetworkError.ts";

const failure = (code: string) => Object.assign(new Error(code), { code });

test.each([
  ["ENOTFOUND", "local"],
  ["EAI_AGAIN", "local"],
  ["ENETUNREACH", "local"],
  ["EHOSTUNREACH", "local"],
  ["PRIVATE_ADDRESS", "local"],
  ["UND_ERR_DESTROYED", "local"],
  ["UND_ERR_INVALID_ARG", "local"],
  ["ECONNREFUSED", "unavailable"],
  ["ECONNRESET", "unavailable"],
  ["UND_ERR_SOCKET", "unavailable"],
  ["UND_ERR_CONNECT_TIMEOUT", "unavailable"],
  ["CERT_HAS_EXPIRED", "unavailable"],
  ["EPROTO", "unavailable"],
  ["Z_BUF_ERROR", "unavailable"],
  ["UND_ERR_HEADERS_OVERFLOW", "malformed"],
  ["Z_DATA_ERROR", "malformed"],
  ["ERR__ERROR_FORMAT_PADDING_1", "malformed"],
])("%s is %s", (code, outcome) => {
  expect(sortNetworkError(failure(code), "UPS")).toMatchObject({
    outcome,
    code,
    message: expect.stringContaining("UPS"),
  });
});

test("several addresses: ours only where it is ours for each of them", () => {
  const both = (...codes: string[]) =>
    sortNetworkError(
      Object.assign(new AggregateError(codes.map(failure)), { code: codes[0] }),
      "UPS",
    );
  expect(both("ENETUNREACH", "ETIMEDOUT")).toMatchObject({
    outcome: "unavailable",
    code: "ETIMEDOUT",
  });
  expect(both("ENETUNREACH", "EHOSTUNREACH")).toMatchObject({ outcome: "local" });
});

test("a failure without a code is the carrier's, not swallowed", () => {
  const cause = new Error("?");
  expect(sortNetworkError(cause, "UPS")).toMatchObject({
    outcome: "unavailable",
    code: "NETWORK",
    cause,
  });
});
