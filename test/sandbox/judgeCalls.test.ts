import { expect, test } from "vitest";
import {
  type Call,
  callsDuringHold,
  callsOverDay,
  callsOverInFlight,
  callsOverWindow,
  holdsOf,
  useOfWindow,
} from "../helpers/judgeCalls.ts";

const DAY_MS = 24 * 3_600_000;
/** A wall clock that says something quite different from the monotonic one. */
const EPOCH = Date.parse("2026-03-01T00:00:00Z");

/** A hand-made log: what matters of each call, in milliseconds since the log began. */
function log(
  ...calls: readonly (number | (Partial<Call> & { readonly monotonic: number }))[]
): Call[] {
  return calls.map((call) => {
    const told = typeof call === "number" ? { monotonic: call } : call;
    return { at: EPOCH + told.monotonic, concurrent: 1, retryAfter: null, ...told };
  });
}

const times = (calls: readonly Call[]) => calls.map(({ monotonic }) => monotonic);

test("the third call within a window of two is found, wherever the window lies", () => {
  const limit = { calls: 2, windowMs: 1_000 };
  expect(times(callsOverWindow(log(0, 100, 999), limit))).toEqual([999]);
  expect(times(callsOverWindow(log(0, 900, 1_100, 1_899), limit))).toEqual([1_899]);
  expect(times(callsOverWindow(log(0, 0, 0, 0), limit))).toEqual([0, 0]);
});

test("calls that keep to the window are not accused, even at its very edge", () => {
  const limit = { calls: 2, windowMs: 1_000 };
  expect(callsOverWindow(log(0, 100, 1_000, 1_100, 2_000, 2_100), limit)).toEqual([]);
  expect(callsOverWindow([], limit)).toEqual([]);
});

test("a day's count starts anew at the reset, and what is over it is found on either side", () => {
  const limit = { calls: 2, resetsAt: new Date(EPOCH + 1_000) };
  expect(callsOverDay(log(0, 999, 1_000, 1_001), limit)).toEqual([]);
  expect(times(callsOverDay(log(0, 1, 2, 1_000, 1_001, 1_002), limit))).toEqual([2, 1_002]);
  expect(callsOverDay(log(1_000, 1_001, 1_000 + DAY_MS), limit)).toEqual([]);
  expect(times(callsOverDay(log(1_000, 1_001, 999 + DAY_MS), limit))).toEqual([999 + DAY_MS]);
});

test("one more under way than allowed is found", () => {
  const calls = log({ monotonic: 0, concurrent: 2 }, { monotonic: 1, concurrent: 3 });
  expect(times(callsOverInFlight(calls, 2))).toEqual([1]);
});

test("a hold is as long as its Retry-After says, in seconds or as a date", () => {
  const calls = log(
    { monotonic: 500, retryAfter: "2" },
    { monotonic: 9_000, retryAfter: new Date(EPOCH + 12_000).toUTCString() },
    { monotonic: 13_000, retryAfter: new Date(EPOCH).toUTCString() },
    14_000,
  );
  expect(holdsOf(calls)).toEqual([
    { from: 500, until: 2_500 },
    { from: 9_000, until: 12_000 },
  ]);
  expect(() => holdsOf(log({ monotonic: 0, retryAfter: "soon" }))).toThrow('"soon"');
});

test("a call during a hold is found, save for those already on their way", () => {
  const calls = log({ monotonic: 0, retryAfter: "2" }, 100, 101, 1_999, 2_000);
  expect(times(callsDuringHold(calls, 100))).toEqual([101, 1_999]);
});

test("a hold that begins within another one does not shorten it", () => {
  const calls = log(
    { monotonic: 0, retryAfter: "5" },
    { monotonic: 50, retryAfter: "1" },
    2_000,
    5_000,
  );
  expect(times(callsDuringHold(calls, 100))).toEqual([2_000]);
});

test("the use of an allowance is what was called of what could have been", () => {
  const limit = { calls: 4, windowMs: 1_000 };
  const span = { from: 0, until: 2_000 };
  expect(useOfWindow(log(0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750, 2_000), limit, span)).toBe(
    1,
  );
  expect(useOfWindow(log(0, 500, 1_000, 1_500), limit, span)).toBe(0.5);
  expect(useOfWindow([], limit, span)).toBe(0);
});

test("time for which callers were told to wait is not held against them, and overlapping holds count once", () => {
  const limit = { calls: 4, windowMs: 1_000 };
  const calls = log(
    { monotonic: 0, retryAfter: "1" },
    { monotonic: 10, retryAfter: "1" },
    1_010,
    1_500,
  );
  // Held from 0 to 1,010, so open for 990 ms.
  expect(useOfWindow(calls, limit, { from: 0, until: 2_000 })).toBeCloseTo(4 / (4 * 0.99), 6);
  const nested = log({ monotonic: 0, retryAfter: "1" }, { monotonic: 10, retryAfter: "0.5" });
  expect(useOfWindow(nested, limit, { from: 0, until: 2_000 })).toBe(0.5);
  const late = log({ monotonic: 1_500, retryAfter: "60" });
  expect(useOfWindow(late, limit, { from: 0, until: 2_000 })).toBeCloseTo(1 / 6, 6);
  const later = log(0, { monotonic: 5_000, retryAfter: "1" });
  expect(useOfWindow(later, limit, { from: 0, until: 2_000 })).toBe(1 / 8);
});
