import { expect, test } from "vitest";
import { carrierEstimate, carrierTime } from "../../../src/cli/carrierTime.ts";
import { lineDiff } from "../../../src/cli/lineDiff.ts";
import { duration } from "../../../src/cli/ownTime.ts";
import { table } from "../../../src/cli/table.ts";

const columns = [
  { title: "id", of: (row: { id: string; title: string }) => row.id },
  { title: "title", of: (row: { id: string; title: string }) => row.title, isFree: true },
];

test("a table fits the terminal by cutting its free columns, never the others", () => {
  const rows = [{ id: "0123456789abcdef", title: "A very long title indeed" }];
  const [, line] = table(columns, rows, 30).split("\n");
  expect(line).toBe("0123456789abcdef  A very long…");
  expect(table(columns, rows, 10)).toContain("0123456789abcdef  A very…");
  expect(table(columns, rows, Number.POSITIVE_INFINITY)).toContain("A very long title indeed");
});

test("columns stay aligned under letters that are two columns wide or none", () => {
  const rows = [
    { id: "日本語", title: "a" },
    { id: "e\u0301", title: "b" },
    { id: "👩‍👩‍👧", title: "c" },
  ];
  expect(table(columns, rows, 80).split("\n").slice(1)).toEqual([
    "日本語  a",
    "e\u0301       b",
    "👩‍👩‍👧      c",
  ]);
});

test.for<[time: Parameters<typeof carrierTime>[0], text: string | null]>([
  [
    { occurredAt: "2025-08-26T15:44:34Z", localTime: "2025-08-26T08:44:34", timeZone: "-07:00" },
    "2025-08-26 08:44:34 -07:00",
  ],
  [
    { occurredAt: null, localTime: "2025-08-26T08:44:34", timeZone: null },
    "2025-08-26 08:44:34 local time",
  ],
  [{ occurredAt: null, localTime: "2025-08-26", timeZone: null }, "2025-08-26"],
  [
    { occurredAt: "2025-08-26T15:44:34Z", localTime: null, timeZone: null },
    "2025-08-26 15:44:34 UTC",
  ],
  [{ occurredAt: null, localTime: null, timeZone: null }, null],
])("a carrier's time is told as it was given: %#", ([time, text]) => {
  expect(carrierTime(time)).toBe(text);
});

test("an estimate of several days, of one day and of some hours", () => {
  const tell = (from: string, until: string, timeZone: string | null = null) =>
    carrierEstimate({ from, until, timeZone });
  expect(tell("2025-08-27", "2025-08-29")).toBe("2025-08-27 to 2025-08-29");
  expect(tell("2025-08-27", "2025-08-27")).toBe("2025-08-27");
  expect(tell("2025-08-27T14:00:00", "2025-08-27T18:00:00", "+02:00")).toBe(
    "2025-08-27 14:00:00 to 18:00:00 +02:00",
  );
});

test("a duration is told in the largest unit of which there are two", () => {
  expect([900, 1_500, 119_000, 7_199_000, 172_800_000].map(duration)).toEqual([
    "1 second",
    "2 seconds",
    "2 minutes",
    "2 hours",
    "2 days",
  ]);
});

test("a difference names the lines of both sides, and no other", () => {
  expect(lineDiff("a\nb\nc\nd", "a\nc\nx\nd")).toEqual(["2: - b", "3: + x"]);
  expect(lineDiff("a\nb", "a\nb")).toEqual([]);
  expect(lineDiff("", "a")).toEqual(["1: - ", "1: + a"]);
});
