import fc from "fast-check";
import type { ParcelStatus, Tracking, TrackingEvent } from "../../src/carriers/carrier.ts";

/** Everything a scan can tell; null: no stage. */
const STAGES: readonly (ParcelStatus | null)[] = [
  "pre_transit",
  "in_transit",
  "out_for_delivery",
  "available_for_pickup",
  "delivered",
  "exception",
  "return_to_sender",
  "cancelled",
  "unknown",
  null,
];

/** What the carrier gave of a scan's time. */
export type TimeKind = "instant" | "wall clock" | "date";

/** The minute 0 of made-up histories: two days ago, so that nothing is closed for its age. */
const START = Math.floor(Date.now() / 60_000) * 60_000 - 2 * 86_400_000;

/** A scan so many minutes after the start. */
export function scanAt(
  identity: string,
  minute: number,
  status: ParcelStatus | null,
  kind: TimeKind,
): TrackingEvent {
  const iso = new Date(START + minute * 60_000).toISOString().slice(0, 19);
  const local = kind === "date" ? iso.slice(0, 10) : iso;
  return {
    identity,
    occurredAt: kind === "instant" ? `${iso}Z` : null,
    localTime: local,
    timeZone: kind === "instant" ? "UTC" : null,
    precision: kind === "date" ? "date" : "second",
    rawTime: local,
    status,
    rawCode: status ?? "XX",
    isListed: true,
    description: null,
    location: null,
    countryCode: null,
    reasonCode: null,
    isActionRequired: false,
  };
}

export function tracking(events: readonly TrackingEvent[], more: Partial<Tracking> = {}): Tracking {
  return {
    status: null,
    rawStatus: null,
    rawText: null,
    isReturn: false,
    events,
    estimate: null,
    signedBy: null,
    trackingUrl: null,
    warnings: [],
    ...more,
  };
}

/** Histories of up to eight scans in the carrier's order; with `isDistinct` no two share a minute. */
export function histories(
  kinds: readonly TimeKind[],
  isDistinct: boolean,
): fc.Arbitrary<readonly TrackingEvent[]> {
  return fc
    .uniqueArray(
      fc.record({
        identity: fc.nat({ max: 1_000_000 }),
        minute: fc.nat({ max: isDistinct ? 2000 : 6 }),
        status: fc.constantFrom(...STAGES),
        kind: fc.constantFrom(...kinds),
      }),
      {
        maxLength: 8,
        selector: isDistinct ? ({ minute }) => minute : ({ identity }) => identity,
      },
    )
    .map((scans) =>
      scans.map(({ minute, status, kind, identity }, i) =>
        scanAt(`${identity}-${i}`, minute, status, kind),
      ),
    );
}
