import { describe, expect, test } from "vitest";
import type { CarrierCall, LookupResult, Tracking } from "../../src/carriers/carrier.ts";
import {
  LocalTrouble,
  type LookupError,
  Malformed,
  NotFound,
  OutOfQuota,
  RateLimited,
  Rejected,
  Unavailable,
} from "../../src/errors.ts";
import { reportFrom } from "../../src/tracking/reportFrom.ts";
import { scanAt, tracking } from "../helpers/trackings.ts";

const ID = "00000000-0000-4000-8000-000000000001";
const NOW = new Date("2026-01-01T12:00:00Z");

function call(kind: CarrierCall["kind"], httpStatus: number | null, startedAt = NOW): CarrierCall {
  return { kind, httpStatus, startedAt, durationMs: 30 };
}

function foundReport(told: Tracking, calls: CarrierCall[] = [], body: string | null = null) {
  return reportFrom(ID, { kind: "found", tracking: told, calls, body }, NOW);
}

function failedReport(error: LookupError, calls: CarrierCall[] = []) {
  return reportFrom(ID, { kind: "failed", error, calls, body: null } satisfies LookupResult, NOW);
}

describe("calls", () => {
  test("are told by their age, so that only the database's clock counts", () => {
    const report = foundReport(tracking([]), [
      call("token", 200, new Date("2026-01-01T11:59:58Z")),
      call("lookup", null, new Date("2026-01-01T11:59:59.500Z")),
    ]);
    expect(report.calls).toEqual([
      { kind: "token", http_status: 200, age_ms: 2000, duration_ms: 30 },
      { kind: "lookup", http_status: null, age_ms: 500, duration_ms: 30 },
    ]);
  });

  test("are never of the future, though the clock was put back meanwhile", () => {
    const report = foundReport(tracking([]), [
      call("lookup", 200, new Date("2026-01-01T13:00:00Z")),
    ]);
    expect(report.calls[0]?.age_ms).toBe(0);
  });
});

describe("an answer", () => {
  const scans = [scanAt("a", 0, "in_transit", "instant"), scanAt("b", 5, "delivered", "instant")];

  test("keeps its scans in the carrier's order, each with its place", () => {
    const twin = [scanAt("a", 0, "in_transit", "instant"), scanAt("b", 0, "delivered", "instant")];
    expect(foundReport(tracking(twin)).events).toMatchObject([
      { identity: "a", status: "in_transit", sort_rank: 0 },
      { identity: "b", status: "delivered", sort_rank: 1 },
    ]);
  });

  test("lifts a wall clock that seems earlier than the scan before it to that one's place", () => {
    const zones = [
      scanAt("a", 60, "in_transit", "instant"),
      scanAt("b", 0, "delivered", "wall clock"),
    ];
    const [first, second] = foundReport(tracking(zones)).events ?? [];
    expect(second?.sort_at).toBe(first?.sort_at);
    expect(second?.sort_rank).toBe(1);
  });

  test("makes up no instant for a date", () => {
    expect(foundReport(tracking([scanAt("a", 0, null, "date")])).events).toMatchObject([
      { occurred_at: null, is_date_only: true },
    ]);
  });

  test("has the same digest again, whatever it cost and however its text was written", () => {
    const first = foundReport(tracking(scans), [call("lookup", 200)], '{"x":1}');
    const again = foundReport(
      tracking(scans, { warnings: ["odd"] }),
      [call("token", 200), call("lookup", 200)],
      '{ "x": 1 }',
    );
    expect(again.digest).toBe(first.digest);
  });

  const changes: Partial<Tracking>[] = [
    { status: "exception" },
    { rawStatus: "X" },
    { rawText: "x" },
    { isReturn: true },
    { signedBy: "M." },
    { trackingUrl: "https://example.com" },
    { estimate: { from: "2026-01-02", until: "2026-01-02", timeZone: null, precision: "date" } },
    { events: scans.slice(0, 1) },
    { events: scans.toReversed() },
  ];
  test.each(changes)("has another digest with %j", (change) => {
    expect(foundReport(tracking(scans, change)).digest).not.toBe(
      foundReport(tracking(scans)).digest,
    );
  });

  test("with an estimate of days says that they are days", () => {
    const estimate = {
      from: "2026-01-02",
      until: "2026-01-03",
      timeZone: "UTC",
      precision: "date",
    };
    expect(foundReport(tracking([], { estimate } as Partial<Tracking>))).toMatchObject({
      estimated_from: "2026-01-02",
      estimated_until: "2026-01-03",
      estimated_time_zone: "UTC",
      is_estimate_a_date: true,
    });
  });
});

describe("a failure", () => {
  test.each([
    [new NotFound("C", "m"), "not_found"],
    [new Unavailable("C", "m"), "unavailable"],
    [new Malformed("C", "m"), "malformed"],
    [new RateLimited("C", "m"), "rate_limited"],
    [new Rejected("C", "m"), "rejected"],
    [new OutOfQuota("C", "m"), "out_of_quota"],
    [new LocalTrouble("C", "m"), "local"],
  ])("%s is told as %s, with code and sentence", (error, outcome) => {
    expect(failedReport(error)).toMatchObject({
      outcome,
      error_code: "C",
      error_message: "m",
      retry_after_ms: null,
      is_api_wide: false,
    });
  });

  test.each([
    ["2026-01-01T12:02:00Z", 120_000],
    ["2026-01-01T11:00:00Z", 0],
    ["2026-01-01T12:00:00Z", 0],
  ])("to be retried at %s says in how many milliseconds", (at, expected) => {
    const error = new RateLimited("C", "m", { retryAt: new Date(at) });
    expect(failedReport(error).retry_after_ms).toBe(expected);
  });

  test.each([
    ["401 to the lookup", [call("token", 200), call("lookup", 401)], true],
    ["403 to the lookup", [call("lookup", 403)], true],
    ["400 to the token", [call("token", 400)], true],
    ["400 to the lookup", [call("token", 200), call("lookup", 400)], false],
    ["422 to the lookup", [call("lookup", 422)], false],
    ["no call at all", [], false],
  ])("a refusal by %s concerns the whole API or not", (_, calls, isApiWide) => {
    expect(failedReport(new Rejected("C", "m"), calls).is_api_wide).toBe(isApiWide);
  });

  test("a 401 that the carrier's table reads as something else does not concern the whole API", () => {
    expect(failedReport(new NotFound("C", "m"), [call("lookup", 401)]).is_api_wide).toBe(false);
  });
});
