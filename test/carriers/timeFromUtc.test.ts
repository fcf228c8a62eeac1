import { expect, test } from "vitest";
import { timeFromUtc } from "../../src/carriers/timeFromUtc.ts";

test.each([
  ["2026-03-03T00:05:00.041Z", "-8:00", "2026-03-03T00:05:00Z", "2026-03-02T16:05:00", "-08:00"],
  ["2026-03-03T00:05:00", "-8:00", "2026-03-03T00:05:00Z", "2026-03-02T16:05:00", "-08:00"],
  ["2026-12-31T23:30:00Z", "+05:30", "2026-12-31T23:30:00Z", "2027-01-01T05:00:00", "+05:30"],
  ["2026-03-03T00:05:00Z", "Z", "2026-03-03T00:05:00Z", "2026-03-03T00:05:00", "UTC"],
  // Without a usable offset nobody knows what the clock there showed.
  ["2026-03-03T00:05:00Z", undefined, "2026-03-03T00:05:00Z", null, null],
  ["9999-12-31T23:30:00Z", "+1:00", "9999-12-31T23:30:00Z", null, "+01:00"],
  ["2026-03-03T00:05:00Z", "EST", "2026-03-03T00:05:00Z", null, null],
])("%s with %s", (utc, offset, occurredAt, localTime, timeZone) => {
  expect(timeFromUtc(utc, offset)).toEqual({
    occurredAt,
    localTime,
    timeZone,
    precision: "second",
    rawTime: utc,
  });
});

test.each(["2026-03-03", "2026-02-30T00:05:00Z", "soon", "", undefined])(
  "%j is no instant",
  (utc) => {
    expect(timeFromUtc(utc, "-8:00")).toBeNull();
  },
);
