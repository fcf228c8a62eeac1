import type { ParcelsVariables } from "./documents.ts";

const WEEK_MS = 7 * 24 * 3_600_000;

/** What a back office asks every morning, as variables of documents/Parcels.graphql. `now` stays the same from page to page. */
export function questions(now: Date) {
  const isLive = { closedAt: { isNull: true } };
  const weekAgo = new Date(now.getTime() - WEEK_MS).toISOString();
  return {
    overdue: {
      filter: { overdueAt: { lessThan: now.toISOString() } },
      orderBy: ["OVERDUE_AT_ASC"],
    },
    inTrouble: {
      filter: { ...isLive, status: { in: ["EXCEPTION", "RETURN_TO_SENDER"] } },
      orderBy: ["STATUS_CHANGED_AT_DESC"],
    },
    comingToday: {
      filter: { ...isLive, status: { equalTo: "OUT_FOR_DELIVERY" } },
      orderBy: ["STATUS_CHANGED_AT_DESC"],
    },
    toBeCollected: {
      filter: { ...isLive, status: { equalTo: "AVAILABLE_FOR_PICKUP" } },
      orderBy: ["STATUS_CHANGED_AT_ASC"],
    },
    stalled: {
      filter: {
        ...isLive,
        status: { equalTo: "IN_TRANSIT" },
        statusChangedAt: { lessThan: weekAgo },
      },
      orderBy: ["STATUS_CHANGED_AT_ASC"],
    },
  } as const satisfies Record<string, ParcelsVariables>;
}
