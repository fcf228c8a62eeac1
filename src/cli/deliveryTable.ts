import type { DeliveryRow } from "../sql/readDeliveries.ts";
import { deliveryText } from "./deliveryText.ts";
import { fromNow } from "./ownTime.ts";
import { type Column, table } from "./table.ts";
import { words } from "./words.ts";

const columns: readonly Column<DeliveryRow>[] = [
  // Eight digits of a uuid are unique far beyond what a person lists.
  { title: "message", of: ({ id }) => id.slice(0, 8) },
  { title: "made", of: ({ createdAt }) => fromNow(createdAt) },
  { title: "channel", of: ({ channel }) => channel },
  { title: "to", of: to, isFree: true },
  { title: "what", of: ({ kind, titles }) => titles ?? words(kind), isFree: true },
  { title: "tried", of: ({ attemptCount }) => attemptCount, align: "right" },
  { title: "what became of it", of: deliveryText, isFree: true },
];

function to({ appUserId, userId, endpointId, channel }: DeliveryRow): string {
  if (channel === "webhook" && endpointId !== null) return `webhook ${endpointId.slice(0, 8)}`;
  return appUserId ?? userId?.slice(0, 8) ?? "";
}

/** Messages, a line each. */
export function deliveryTable(messages: readonly DeliveryRow[], width: number): string {
  return table(columns, messages, width);
}
