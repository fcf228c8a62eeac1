import type { ParcelStatus, Tracking, TrackingEvent } from "./carrier.ts";
import { sortTime, WIDEST_ZONE_DIFFERENCE_MS } from "./carrierTime.ts";

/** An event with its place in the parcel's history; the database stores both and orders by them. */
export interface OrderedEvent {
  readonly event: TrackingEvent;
  /** ISO instant in UTC. The event's own where known; otherwise its wall clock read as UTC, lifted past the scan before it. */
  readonly sortAt: string;
  /** Position among the answer's events with the same `sortAt`, oldest first, from 0. */
  readonly sortRank: number;
}

/**
 * Gives each event of one answer its sort key. Takes and returns the carrier's
 * own order, oldest first; sorting by `sortAt`, then `sortRank` gives the history.
 */
export function orderEvents(events: readonly TrackingEvent[]): OrderedEvent[] {
  const ordered: OrderedEvent[] = [];
  const countBySortAt = new Map<string, number>();
  let previousMs: number | null = null;
  for (const event of events) {
    const sortMs = sortKey(event, previousMs);
    const sortAt = new Date(sortMs).toISOString();
    const sortRank = countBySortAt.get(sortAt) ?? 0;
    countBySortAt.set(sortAt, sortRank + 1);
    ordered.push({ event, sortAt, sortRank });
    previousMs = sortMs;
  }
  return ordered;
}

/**
 * A time without an offset that seems a little earlier than the scan before it
 * is another zone's clock, and the carrier's own order is believed instead.
 */
function sortKey(event: TrackingEvent, previousMs: number | null): number {
  const ownMs = sortTime(event);
  if (event.occurredAt !== null || previousMs === null || ownMs >= previousMs) return ownMs;
  return previousMs - ownMs <= WIDEST_ZONE_DIFFERENCE_MS ? previousMs : ownMs;
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
