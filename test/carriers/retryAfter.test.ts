import fc from "fast-check";
import { expect, test } from "vitest";
import { readRetryAfter } from "../../src/carriers/retryAfter.ts";

const RECEIVED_AT = new Date("2025-09-01T12:00:00Z");
const DAY_S = 86_400;

const ANSWERED_AT = "Mon, 01 Sep 2025 12:00:00 GMT";

/** Seconds from the answer until the carrier may be asked again. `date` is the answer's own; null: it has none. */
function wait(retryAfter: string | undefined, date: string | null = ANSWERED_AT): number | null {
  const headers: Record<string, string> = {};
  if (retryAfter !== undefined) headers["retry-after"] = retryAfter;
  if (date !== null) headers.date = date;
  const at = readRetryAfter({ headers, receivedAt: RECEIVED_AT });
  return at === null ? null : (at.getTime() - RECEIVED_AT.getTime()) / 1_000;
}

test.each([
  ["120", 120],
  [" 7 ", 7],
  ["1.5", 1.5],
  ["0", 1],
  ["86401", DAY_S],
  ["99999999999999999999", DAY_S],
])("%j seconds wait %d s", (text, seconds) => {
  expect(wait(text)).toBe(seconds);
});

test.each([
  ["Mon, 01 Sep 2025 12:02:00 GMT", 120],
  ["Monday, 01-Sep-25 12:02:00 GMT", 120],
  ["Mon Sep  1 12:02:00 2025", 120],
  ["Mon, 01 Sep 2025 11:00:00 GMT", 1],
  ["Fri, 01 Jan 2100 00:00:00 GMT", DAY_S],
])("until %s wait %d s", (text, seconds) => {
  expect(wait(text)).toBe(seconds);
});

test("a date counts from the answer's own Date, whatever our clock says", () => {
  // The carrier's clock is an hour behind ours; it means two minutes.
  expect(wait("Mon, 01 Sep 2025 11:02:00 GMT", "Mon, 01 Sep 2025 11:00:00 GMT")).toBe(120);
});

test.each([null, "", "yesterday"])(
  "beside the Date %j a date says nothing, and seconds do",
  (date) => {
    expect(wait("Mon, 01 Sep 2025 12:02:00 GMT", date)).toBeNull();
    expect(wait("120", date)).toBe(120);
  },
);

test.each([
  undefined,
  "",
  "soon",
  "-5",
  "1e3",
  "0x10",
  "NaN",
  "2025-09-01T12:02:00Z",
  "Mon, 31 Feb 2025 12:00:00 GMT",
])("%j says nothing", (text) => {
  expect(wait(text)).toBeNull();
});

test.each([
  [{ "x-reset": "1756728005", date: ANSWERED_AT }, 5],
  [{ "x-reset": "1756728005" }, null],
  [{ "x-reset": "1756728005", "retry-after": "7" }, 7],
  [{ "x-reset": "1756728005", date: "Mon, 01 Sep 2025 11:59:58 GMT" }, 7],
  [{ "x-reset": "1756700000", date: ANSWERED_AT }, 1],
  [{ "x-reset": "5", date: ANSWERED_AT }, 1],
  [{ "x-reset": "soon", date: ANSWERED_AT }, null],
  [{}, null],
])("a reset in Unix seconds, %j, is a wait of %s s", (headers, seconds) => {
  const at = readRetryAfter({ headers, receivedAt: RECEIVED_AT }, "x-reset");
  expect(at && (at.getTime() - RECEIVED_AT.getTime()) / 1_000).toBe(seconds);
});

test("without its name no other header is read", () => {
  const headers = { "x-ratelimit-reset": "1756728005" };
  expect(readRetryAfter({ headers, receivedAt: RECEIVED_AT })).toBeNull();
});

test("whatever stands there, the wait is between a second and a day, or nothing is said", () => {
  const text = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    fc.stringMatching(/^[\d:., GMTa-z-]*$/),
  );
  fc.assert(
    fc.property(text, text, (retryAfter, date) => {
      const seconds = wait(retryAfter, date);
      expect(seconds === null || (seconds >= 1 && seconds <= DAY_S)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});
