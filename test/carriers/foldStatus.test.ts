import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ParcelStatus, TrackingEvent } from "../../src/carriers/carrier.ts";
import { foldStatus, orderEvents } from "../../src/carriers/foldStatus.ts";

function event(
  status: ParcelStatus | null,
  time: { occurredAt?: string; localTime?: string },
  identity = "",
): TrackingEvent {
  return {
    identity,
    occurredAt: time.occurredAt ?? null,
    localTime: time.localTime ?? null,
    timeZone: null,
    precision: "second",
    rawTime: "",
    status,
    rawCode: "",
    isListed: true,
    description: null,
    location: null,
    countryCode: null,
    reasonCode: null,
    isActionRequired: false,
  };
}

const at = (occurredAt: string) => ({ occurredAt });
const local = (localTime: string) => ({ localTime });
const fold = (
  events: TrackingEvent[],
  { isReturn = false, status = null }: { isReturn?: boolean; status?: ParcelStatus | null } = {},
) => foldStatus({ events, isReturn, status });

describe("foldStatus", () => {
  test("the newest event that carries a stage decides", () => {
    const events = [
      event("delivered", at("2025-03-02T10:00:00Z")),
      event("in_transit", at("2025-03-01T10:00:00Z")),
    ];
    expect(fold(events).status).toBe("delivered");
  });

  test("an event without a stage, or with an unknown one, changes nothing", () => {
    const events = [
      event("out_for_delivery", at("2025-03-01T10:00:00Z")),
      event(null, at("2025-03-01T11:00:00Z")),
      event("unknown", at("2025-03-01T12:00:00Z")),
    ];
    expect(fold(events).status).toBe("out_for_delivery");
  });

  test("without such an event the carrier's own status counts, and without that it is unknown", () => {
    const events = [event(null, at("2025-03-01T10:00:00Z"))];
    expect(fold(events, { status: "in_transit" }).status).toBe("in_transit");
    expect(fold(events).status).toBe("unknown");
    expect(fold([]).status).toBe("unknown");
  });

  test("a delivered parcel moves on when the carrier scans it later", () => {
    const events = [
      event("delivered", at("2025-03-01T10:00:00Z")),
      event("in_transit", at("2025-03-01T12:00:00Z")),
    ];
    expect(fold(events)).toEqual({ status: "in_transit", deliveredEvent: null });
  });

  test.each([
    ["delivered", "return_to_sender"],
    ["in_transit", "return_to_sender"],
    ["out_for_delivery", "return_to_sender"],
    ["available_for_pickup", "return_to_sender"],
    ["exception", "return_to_sender"],
    ["return_to_sender", "return_to_sender"],
    ["pre_transit", "pre_transit"],
    ["cancelled", "cancelled"],
  ] as const)("on the way back %s reads %s", (stage, status) => {
    const folded = fold([event(stage, at("2025-03-01T10:00:00Z"))], { isReturn: true });
    expect(folded).toEqual({ status, deliveredEvent: null });
  });

  test("the delivering event is the newest delivered one, corrections after it included", () => {
    const second = event("delivered", at("2025-03-02T10:00:00Z"), "second");
    const events = [
      event("delivered", at("2025-03-01T10:00:00Z"), "first"),
      event("exception", at("2025-03-01T11:00:00Z")),
      second,
      event(null, at("2025-03-02T11:00:00Z")),
    ];
    expect(fold(events)).toEqual({ status: "delivered", deliveredEvent: second });
  });

  test("where only the current status says delivered, no scan delivered it", () => {
    expect(fold([], { status: "delivered" })).toEqual({
      status: "delivered",
      deliveredEvent: null,
    });
  });

  test("where every instant is known and different, the order they come in does not matter", () => {
    const stages = fc.constantFrom<ParcelStatus | null>(
      null,
      "unknown",
      "pre_transit",
      "in_transit",
      "out_for_delivery",
      "delivered",
      "exception",
    );
    const histories = fc
      .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 1e9 }), stages), {
        selector: ([second]) => second,
        maxLength: 12,
      })
      .map((scans) =>
        scans.map(([second, stage]) =>
          event(stage, at(new Date(second * 1_000).toISOString()), String(second)),
        ),
      );
    const shuffled = histories.chain((events) =>
      fc.tuple(
        fc.constant(events),
        fc.shuffledSubarray(events, { minLength: events.length }),
        fc.boolean(),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([events, otherwise, isReturn]) => {
        expect(fold(otherwise, { isReturn })).toEqual(fold(events, { isReturn }));
      }),
    );
  });
});

describe("orderEvents", () => {
  const keys = (events: TrackingEvent[]) =>
    orderEvents(events).map(({ sortAt, sortRank }) => [sortAt, sortRank]);

  test("an instant stands as it is, a wall clock as if in UTC, a date at its midnight", () => {
    expect(
      keys([
        event(null, local("2025-03-01")),
        event(null, local("2025-03-02T08:00:00")),
        event(null, at("2025-03-03T08:00:00Z")),
      ]),
    ).toEqual([
      ["2025-03-01T00:00:00.000Z", 0],
      ["2025-03-02T08:00:00.000Z", 1],
      ["2025-03-03T08:00:00.000Z", 2],
    ]);
  });

  test("a wall clock is lifted to the scan before it, and equal keys are ranked by the carrier's order", () => {
    expect(
      keys([
        event(null, at("2025-03-02T08:00:00Z")),
        event(null, local("2025-03-01T06:00:00")),
        event(null, local("2025-03-02")),
        event(null, local("2025-03-02T09:00:00")),
      ]),
    ).toEqual([
      ["2025-03-02T08:00:00.000Z", 0],
      ["2025-03-02T08:00:00.000Z", 1],
      ["2025-03-02T08:00:00.000Z", 2],
      ["2025-03-02T09:00:00.000Z", 3],
    ]);
  });

  test("more than 26 hours earlier is no zone's doing: the wall clock stands", () => {
    expect(
      keys([event(null, at("2025-03-02T08:00:00Z")), event(null, local("2025-03-01T05:59:59"))]),
    ).toEqual([
      ["2025-03-02T08:00:00.000Z", 0],
      ["2025-03-01T05:59:59.000Z", 1],
    ]);
  });

  test("an instant is never moved, however the carrier orders it", () => {
    expect(
      keys([event(null, at("2025-03-02T08:00:00Z")), event(null, at("2025-03-02T07:00:00Z"))]),
    ).toEqual([
      ["2025-03-02T08:00:00.000Z", 0],
      ["2025-03-02T07:00:00.000Z", 1],
    ]);
  });

  test("an answer that leaves scans out gives none a later key than the full one", () => {
    const scans = fc.array(
      fc.record({
        // Within two days, so that some clocks differ by more than any two zones do.
        minute: fc.nat({ max: 2 * 24 * 60 }),
        isInstant: fc.boolean(),
      }),
      { maxLength: 10 },
    );
    const cases = scans
      .map((some) =>
        some.map(({ minute, isInstant }, i) => {
          const iso = new Date(Date.UTC(2025, 2, 1, 0, minute)).toISOString().slice(0, 19);
          return event("in_transit", isInstant ? at(`${iso}Z`) : local(iso), String(i));
        }),
      )
      .chain((full) => fc.tuple(fc.constant(full), fc.subarray(full)));
    fc.assert(
      fc.property(cases, ([full, some]) => {
        const keyIn = new Map(orderEvents(full).map((o) => [o.event.identity, o]));
        for (const { event: scan, sortAt, sortRank } of orderEvents(some)) {
          const key = keyIn.get(scan.identity);
          if (!key) throw new Error("a scan of its own");
          const isNotLater =
            sortAt < key.sortAt || (sortAt === key.sortAt && sortRank <= key.sortRank);
          expect(isNotLater).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
