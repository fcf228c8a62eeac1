import { expect, test } from "vitest";
import { timeFromIso } from "../../src/carriers/carrierTime.ts";
import { timeInZone } from "../../src/carriers/timeInZone.ts";

const dutch = (text: string) => timeInZone(timeFromIso(text), "Europe/Amsterdam");

test.each([
  ["2025-01-15T10:00:00", "2025-01-15T09:00:00Z"],
  ["2025-07-15T10:00:00", "2025-07-15T08:00:00Z"],
  // 30 March 2025: 02:00 becomes 03:00.
  ["2025-03-30T01:59:59", "2025-03-30T00:59:59Z"],
  ["2025-03-30T02:00:00", null],
  ["2025-03-30T02:59:59", null],
  ["2025-03-30T03:00:00", "2025-03-30T01:00:00Z"],
  // 26 October 2025: 03:00 becomes 02:00.
  ["2025-10-26T01:59:59", "2025-10-25T23:59:59Z"],
  ["2025-10-26T02:00:00", null],
  ["2025-10-26T02:59:59", null],
  ["2025-10-26T03:00:00", "2025-10-26T02:00:00Z"],
])("Dutch %s is %s", (text, occurredAt) => {
  expect(dutch(text)).toEqual({
    occurredAt,
    localTime: text,
    timeZone: "Europe/Amsterdam",
    precision: "second",
    rawTime: text,
  });
});

test("an offset that was given is believed, a date stays a date, and nothing stays nothing", () => {
  for (const text of ["2025-01-15T10:00:00Z", "2025-01-15T10:00:00-05:00", "2025-01-15"])
    expect(dutch(text)).toEqual(timeFromIso(text));
  expect(dutch("soon")).toBeNull();
});
