import { carrierTime } from "./carrierTime.ts";
import { type Column, table } from "./table.ts";
import { words } from "./words.ts";

/** One scan as `show` and `lookup` print it. */
export interface EventJson {
  /** The instant, or null where the carrier gave no offset. */
  readonly occurredAt: string | null;
  readonly localTime: string | null;
  readonly timeZone: string | null;
  readonly status: string | null;
  readonly rawCode: string;
  readonly description: string | null;
  readonly location: string | null;
}

const columns: readonly Column<EventJson>[] = [
  { title: "time", of: carrierTime },
  { title: "status", of: ({ status }) => (status === null ? "" : words(status)) },
  { title: "code", of: ({ rawCode }) => rawCode },
  { title: "place", of: ({ location }) => location, isFree: true },
  { title: "what", of: ({ description }) => description, isFree: true },
];

/** The scans, oldest first as given. */
export function eventTable(events: readonly EventJson[], width: number): string {
  return events.length === 0 ? "No scans yet." : table(columns, events, width);
}
