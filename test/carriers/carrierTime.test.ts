import { describe, expect, test } from "vitest";
import {
  compactDate,
  compactTime,
  timeFromIso,
  timeFromParts,
  utcOffset,
} from "../../src/carriers/carrierTime.ts";

test.each([
  ["20250826", "2025-08-26"],
  [" 20240229 ", "2024-02-29"],
  ["20250229", null],
  ["20250231", null],
  ["20251301", null],
  ["20250800", null],
  ["00000000", null],
  ["00010101", null],
  ["2025-08-26", null],
  ["2025082", null],
  ["", null],
  [undefined, null],
])("the date %j reads %j", (text, date) => {
  expect(compactDate(text)).toBe(date);
});

test.each([
  ["084434", "08:44:34"],
  ["74700", "07:47:00"],
  ["15:44:34", "15:44:34"],
  ["0", "00:00:00"],
  ["240000", null],
  ["236000", null],
  ["235960", null],
  ["8am", null],
  ["", null],
  [undefined, null],
])("the time of day %j reads %j", (text, time) => {
  expect(compactTime(text)).toBe(time);
});

test.each([
  ["-07:00", "-07:00"],
  ["-04.00", "-04:00"],
  ["-7:00", "-07:00"],
  ["+0530", "+05:30"],
  ["+14", "+14:00"],
  ["Z", "UTC"],
  ["+15:00", null],
  ["-07:60", null],
  ["EST", null],
  ["", null],
  [undefined, null],
])("the offset %j reads %j", (text, offset) => {
  expect(utcOffset(text)).toBe(offset);
});

describe("timeFromIso", () => {
  test.each([
    ["2025-03-05T11:20:00", null, "2025-03-05T11:20:00", null, "second"],
    ["2025-03-05T11:20", null, "2025-03-05T11:20:00", null, "second"],
    [
      "2025-03-05T11:20:00+01:00",
      "2025-03-05T10:20:00Z",
      "2025-03-05T11:20:00",
      "+01:00",
      "second",
    ],
    [
      "2025-03-05T23:20:00.123-05:00",
      "2025-03-06T04:20:00Z",
      "2025-03-05T23:20:00",
      "-05:00",
      "second",
    ],
    ["2025-03-05T11:20:00Z", "2025-03-05T11:20:00Z", "2025-03-05T11:20:00", "UTC", "second"],
    ["2025-03-05", null, "2025-03-05", null, "date"],
    // Neither gap nor fold can be known without a zone: the wall clock is kept as it is.
    ["2025-03-09T02:30:00", null, "2025-03-09T02:30:00", null, "second"],
    ["2026-11-01T01:30:00", null, "2026-11-01T01:30:00", null, "second"],
  ])("%s", (text, occurredAt, localTime, timeZone, precision) => {
    expect(timeFromIso(text)).toEqual({
      occurredAt,
      localTime,
      timeZone,
      precision,
      rawTime: text,
    });
  });

  test.each([
    "2025-02-31T10:00:00",
    "2025-02-31",
    "2025-03-05T25:00:00",
    "05.03.2025",
    "soon",
    "",
    undefined,
  ])("%j is no moment", (text) => {
    expect(timeFromIso(text)).toBeNull();
  });
});

describe("timeFromParts", () => {
  test("the UTC part gives the instant, the local part the wall clock", () => {
    const parts = {
      date: "20250826",
      time: "084434",
      utcDate: "20250826",
      utcTime: "15:44:34",
      offset: "-07:00",
    };
    expect(timeFromParts(parts, "raw")).toEqual({
      occurredAt: "2025-08-26T15:44:34Z",
      localTime: "2025-08-26T08:44:34",
      timeZone: "-07:00",
      precision: "second",
      rawTime: "raw",
    });
  });

  test("nonsense in the UTC part leaves the wall clock, and no instant is made up", () => {
    const parts = { date: "20250826", time: "084434", utcDate: "20250231", utcTime: "154434" };
    expect(timeFromParts(parts, "")).toMatchObject({
      occurredAt: null,
      localTime: "2025-08-26T08:44:34",
      timeZone: null,
    });
  });

  test("nonsense in the local part leaves the instant, and no wall clock is made up", () => {
    const parts = { date: "20250231", utcDate: "20250826", utcTime: "154434", offset: "-07:00" };
    expect(timeFromParts(parts, "")).toMatchObject({
      occurredAt: "2025-08-26T15:44:34Z",
      localTime: null,
      precision: "second",
    });
  });

  test("a UTC date without a time of day is no instant", () => {
    expect(timeFromParts({ date: "20250826", utcDate: "20250826" }, "")).toMatchObject({
      occurredAt: null,
      localTime: "2025-08-26",
      precision: "date",
    });
  });

  test("nothing real gives nothing", () => {
    expect(timeFromParts({ date: "20250231", utcDate: "20250826" }, "")).toBeNull();
  });
});
