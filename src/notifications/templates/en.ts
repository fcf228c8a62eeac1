import type { Language } from "./language.ts";

const STATUSES: Readonly<Record<string, string>> = {
  pending: "not known to the carrier yet",
  pre_transit: "announced to the carrier",
  in_transit: "in transit",
  out_for_delivery: "out for delivery",
  available_for_pickup: "available for pickup",
  delivered: "delivered",
  exception: "held up by a problem",
  return_to_sender: "returned to sender",
  cancelled: "cancelled",
  unknown: "not known",
};

const ENDPOINT_REASONS: Readonly<Record<string, string>> = {
  gone: "It answered that it is gone (410).",
  failing: "It has failed for days.",
  by_hand: "It was switched off by hand.",
};

const after = (detail: string | null) => (detail === null ? "" : `: ${detail}`);

/** English. The first three sentences are promised to apps: they do not change. */
export const en: Language = {
  tag: "en",
  locale: "en-GB",
  status: (code) => (Object.hasOwn(STATUSES, code) && STATUSES[code]) || code.replaceAll("_", " "),
  sentences: {
    stage: (title, status) => `Your book '${title}' is now: ${status}`,
    delivered: (title) => `Your book '${title}' has been delivered!`,
    exception: (title, detail) => `Alert: '${title}' shipment exception${after(detail)}`,
    actionRequired: (title, detail) =>
      `Action needed: the carrier is waiting for you before it can deliver '${title}'${after(detail)}`,
    estimate: (title, expected) =>
      expected === null
        ? `The expected delivery of your book '${title}' has changed`
        : `Your book '${title}' is now expected: ${expected}`,
    together: (count, title, status) =>
      `Your ${count} books in one parcel ('${title}' and ${count - 1} more) are now: ${status}`,
    several: (count) => `News of ${count} of your books`,
    more: (count) => `and ${count} more`,
    test: () => "This is a test: messages from bookpost reach you here.",
    verification: (code) =>
      `${code} is your bookpost code. If you did not ask for it, ignore this message.`,
    endpointDisabled: () => "Your webhook has been switched off",
  },
  labels: {
    status: "Status",
    place: "Place",
    time: "Time",
    estimate: "Expected",
    detail: "The carrier says",
    carrier: "Carrier",
    trackingNumber: "Tracking number",
    page: "Carrier's page",
    webhook: "Webhook",
    description: "Description",
  },
  sharedPage: {
    title: () => "A parcel",
    unknown: () => "This link does not work, or no longer. Ask whoever sent it for a new one.",
    since: () => "Since",
    delivered: () => "Delivered",
    lastScan: () => "Last seen",
    worksUntil: () => "This page works until",
  },
  endpointReason: (reason) =>
    `${ENDPOINT_REASONS[reason ?? ""] ?? "It was switched off."} Nothing more is sent to it until it is switched on again.`,
  localTimeThere: (time) => `${time} (local time there)`,
  range: (from, until) => `${from} to ${until}`,
  why: () => "You get this because bookpost follows your books in the post.",
  unsubscribe: () => "Stop these emails",
};
