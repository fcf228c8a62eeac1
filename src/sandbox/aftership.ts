import type { SCAN_STAGES, Step, VisibleParcel } from "./scenario.ts";
import type { Wire, WireReply } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [tag, subtag, message] */
const SCANS: Readonly<Record<Stage, readonly [string, string, string]>> = {
  pre_transit: ["InfoReceived", "InfoReceived_001", "Label created"],
  in_transit: ["InTransit", "InTransit_007", "Departed from facility"],
  out_for_delivery: ["OutForDelivery", "OutForDelivery_001", "Out for delivery"],
  available_for_pickup: ["AvailableForPickup", "AvailableForPickup_001", "Ready for collection"],
  delivered: ["Delivered", "Delivered_001", "Delivered"],
  exception: ["AttemptFail", "AttemptFail_002", "Nobody was at home"],
  return_to_sender: ["Exception", "Exception_010", "Returning to sender"],
  cancelled: ["Exception", "Exception_001", "Label voided"],
  no_change: ["Pending", "Pending_001", "An update without a stage"],
  unlisted: ["Teleported", "Teleported_001", "A scan from the future"],
};

const TYPES: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  429: "TooManyRequests",
};

const PATH = "/aftership/trackings";

/** AfterShip Tracking, an aggregator that knows only what it was told of. */
export const aftership: Wire = {
  api: "aftership",
  basePath: "/aftership",
  credentials: { API_KEY: "sandbox-aftership-key" },
  route({ method, url, body }) {
    if (url.pathname !== PATH) return null;
    if (method === "POST") return { kind: "register", number: toldOf(body) };
    return { kind: "lookup", number: url.searchParams.get("tracking_numbers") };
  },
  answer({ method, headers, url, body }, { number, show, registered }) {
    if (headers["as-api-key"] !== aftership.credentials.API_KEY) return aftership.error(401);
    const name = `aftership ${number}`;
    const parcel = show(number ?? "");
    const isKnown = parcel !== null || registered.has(name);
    if (method === "POST") {
      if (number === null || !/"slug"/.test(body)) return aftership.error(400);
      if (isKnown) return failure(400, 4003, "Tracking already exists.");
      registered.add(name);
      return reply(201, trackingOf(number, null, null));
    }
    const slug = url.searchParams.get("slug");
    const trackings = number !== null && isKnown ? [trackingOf(number, slug, parcel)] : [];
    return reply(200, {
      pagination: { total: trackings.length, next_cursor: "", has_next_page: false },
      trackings,
    });
  },
  error: (status) => failure(status, status, "The sandbox says so."),
};

function toldOf(body: string): string | null {
  const [, number] = /"tracking_number":\s*"([^"]+)"/.exec(body) ?? [];
  return number ?? null;
}

function reply(status: number, data: object): WireReply {
  return { status, body: { meta: { code: status }, data } };
}

function failure(status: number, code: number, message: string): WireReply {
  return {
    status,
    body: { meta: { code, message, type: TYPES[status] ?? "InternalError" }, data: {} },
  };
}

function trackingOf(number: string, slug: string | null, parcel: VisibleParcel | null) {
  const steps = parcel?.steps ?? [];
  const newest = steps.at(-1);
  const [tag, subtag, message] = newest ? SCANS[newest.stage] : ["Pending", "Pending_001", ""];
  const estimate = parcel?.estimatedDelivery;
  return {
    id: `sandbox${number}`,
    tracking_number: number,
    slug,
    active: tag !== "Delivered",
    tag,
    subtag,
    subtag_message: message,
    return_to_sender: steps.some(({ stage }) => stage === "return_to_sender"),
    signed_by: tag === "Delivered" ? (parcel?.signedBy ?? null) : null,
    courier_estimated_delivery_date: estimate ? { estimated_delivery_date: estimate } : null,
    checkpoints: steps.map(checkpointOf),
  };
}

function checkpointOf({ stage, at, text, city, region, country }: Step) {
  const [tag, subtag, message] = SCANS[stage];
  return {
    // With the offset where the courier gives one.
    checkpoint_time: at,
    tag,
    subtag,
    subtag_message: message,
    message: text ?? message,
    location: [city, region, country].filter(Boolean).join(", ") || null,
    city: city ?? null,
    state: region ?? null,
    source: "carrier",
  };
}
