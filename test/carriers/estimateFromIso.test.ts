import { expect, test } from "vitest";
import { estimateFromIso } from "../../src/carriers/estimateFromIso.ts";

test.each([
  ["2025-03-05", "2025-03-06", ["2025-03-05", "2025-03-06", null, "date"]],
  ["2025-03-05", null, ["2025-03-05", "2025-03-05", null, "date"]],
  ["2025-03-05T00:00:00+01:00", null, ["2025-03-05", "2025-03-05", null, "date"]],
  ["2025-03-05", "2025-03-05T14:00:00", ["2025-03-05", "2025-03-05", null, "date"]],
  ["2025-03-05T11:00:00", "2025-03-05", ["2025-03-05", "2025-03-05", null, "date"]],
  [
    "2025-03-05T00:00:00",
    "2025-03-05T14:00:00",
    ["2025-03-05T00:00:00", "2025-03-05T14:00:00", null, "second"],
  ],
  [
    "2025-03-05T11:00:00+01:00",
    "2025-03-05T14:00:00+01:00",
    ["2025-03-05T11:00:00", "2025-03-05T14:00:00", "+01:00", "second"],
  ],
])("from %s until %s", (first, last, [from, until, timeZone, precision]) => {
  expect(estimateFromIso(first, last)).toEqual({ from, until, timeZone, precision });
});

test.each([
  ["2025-03-06", "2025-03-05"],
  ["2025-03-06", "2025-03-05T14:00:00"],
  ["2025-03-05T14:00:00", "2025-03-05T11:00:00"],
  ["soon", null],
  [undefined, undefined],
])("from %s until %s is no estimate", (first, last) => {
  expect(estimateFromIso(first, last)).toBeNull();
});
