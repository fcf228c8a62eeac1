import { expect, test } from "vitest";
import { numberFailure } from "../../src/carriers/numberFailure.ts";

const carrier = { name: "Pigeon Post", outcomes: { "-1": "not_found", "-2": "rejected" } } as const;

test.each([
  ["-1", "not_found", "-1"],
  ["-2", "rejected", "-2"],
  ["-3", "malformed", "-3"],
  ["constructor", "malformed", "constructor"],
  ["1e+21", "malformed", "TURNED_AWAY"],
  ["x".repeat(41), "malformed", "TURNED_AWAY"],
])("a number turned away with %s is %s", (code, outcome, kept) => {
  const error = numberFailure(carrier, code);
  expect(error).toMatchObject({ outcome, code: kept });
  expect(error.message).toMatch(/^Pigeon Post .*\.$/);
});

test("where no outcomes are told, every reason is malformed", () => {
  expect(numberFailure({ name: "Pigeon Post" }, "-1").outcome).toBe("malformed");
});
