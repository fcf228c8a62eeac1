import type { ParcelStatus, Tracking, TrackingEvent } from "./carrier.ts";
import { sortTime, WIDEST_ZONE_DIFFERENCE_MS } from "./carrierTime.ts";

/** An event with its place in the parcel's history; the database stores both and orders by them. */
export interface OrderedEvent {
  readonly event: TrackingEvent;
  /** ISO instant in UTC. The event's own where known; otherwise its wall clock read as UTC, lifted to scans listed before it. */
  readonly sortAt: string;
  /** Position in the answer, oldest first, from 0. */
  readonly sortRank: number;
}

/**
 * Gives each event of one answer its sort key. Takes and returns the carrier's
 * own order, oldest first; sorting by `sortAt`, then `sortRank` gives the history.
 *
 * An answer that leaves scans out never gives one a later key than the full
 * answer does: fewer scans stand before it, so fewer lift it. The database
 * keeps the latest key of each scan, and so the full answer's order stands,
 * whichever answers came before and after it.
 */
export function orderEvents(events: readonly TrackingEvent[]): OrderedEvent[] {
  const ownMs = events.map(sortTime);
  return events.map((event, sortRank) => ({
    event,
    sortAt: new Date(sortKey(event, ownMs.slice(0, sortRank + 1))).toISOString(),
    sortRank,
  }));
}

/**
 * A time without an offset that seems a little earlier than a scan listed
 * before it is another zone's clock, and the carrier's own order is believed
 * instead. `ownMs` are the times of the scans up to this one, as told: were
 * they lifted ones, a scan left out could lift another further.
 */
function sortKey(event: TrackingEvent, ownMs: readonly number[]): number {
  const own = ownMs.at(-1) as number;
  if (event.occurredAt !== null) return own;
  return ownMs.reduce(
    (latest, before) =>
      before - own <= WIDEST_ZONE_DIFFERENCE_MS ? Math.max(latest, before) : latest,
    own,
  );
}

/** On the way back these mean the same to the person who waits: it is not coming. */
const MOVING: ReadonlySet<ParcelStatus> = new Set([
  "in_transit",
  "out_for_delivery",
  "available_for_pickup",
  "exception",
  "delivered",
]);

/**
 * What the parcel's status is, from what the carrier said. The newest event
 * that carries a stage decides; without one the carrier's current status does.
 * `deliveredEvent` is the scan that delivered it, where the status is delivered
 * and a scan says so: its time is the time of delivery, never the time we looked.
 */
export function foldStatus(tracking: Pick<Tracking, "events" | "isReturn" | "status">): {
  readonly status: ParcelStatus;
  readonly deliveredEvent: TrackingEvent | null;
} {
  const newestFirst = orderEvents(tracking.events)
    .sort((a, b) => Date.parse(b.sortAt) - Date.parse(a.sortAt) || b.sortRank - a.sortRank)
    .map(({ event }) => event);
  const deciding = newestFirst.find(({ status }) => status !== null && status !== "unknown");
  const stage = deciding?.status ?? tracking.status ?? "unknown";
  const status = tracking.isReturn && MOVING.has(stage) ? "return_to_sender" : stage;
  return {
    status,
    deliveredEvent:
      status === "delivered"
        ? (newestFirst.find((event) => event.status === "delivered") ?? null)
        : null,
  };
}
