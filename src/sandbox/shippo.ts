import type { SCAN_STAGES, Step } from "./scenario.ts";
import { utcText } from "./utcText.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [status, substatus, whether somebody must act, details] */
const SCANS: Readonly<Record<Stage, readonly [string, string, boolean, string]>> = {
  pre_transit: ["PRE_TRANSIT", "information_received", false, "The label has been created."],
  in_transit: ["TRANSIT", "package_departed", false, "Your shipment has left the facility."],
  out_for_delivery: ["TRANSIT", "out_for_delivery", false, "Your shipment is out for delivery."],
  available_for_pickup: ["TRANSIT", "pickup_available", true, "Ready to be collected."],
  delivered: ["DELIVERED", "delivered", false, "Your shipment has been delivered."],
  exception: ["FAILURE", "package_undeliverable", true, "Your shipment could not be delivered."],
  return_to_sender: ["RETURNED", "return_to_sender", false, "Your shipment is going back."],
  cancelled: ["UNKNOWN", "other", false, "The label has been voided."],
  no_change: ["UNKNOWN", "other", false, "An update without a stage."],
  unlisted: ["TELEPORTED", "other", false, "A scan from the future."],
};

const DETAILS: Readonly<Record<number, string>> = {
  400: "Carrier is not supported.",
  401: "Invalid token.",
  403: "You do not have permission to perform this action.",
  429: "Request was throttled.",
};

const TRACK = /^\/shippo\/tracks\/(\w+)\/([^/]+)$/;

/** Shippo tracking, an aggregator: each number is asked about under its carrier's token. */
export const shippo: Wire = {
  api: "shippo",
  basePath: "/shippo",
  credentials: { API_KEY: "sandbox-shippo-token" },
  route({ method, url }) {
    const [, , number] = TRACK.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ headers, url }, { number, show }) {
    if (headers.authorization !== `ShippoToken ${shippo.credentials.API_KEY}`)
      return shippo.error(401);
    const [, carrier] = TRACK.exec(url.pathname) ?? [];
    const parcel = show(number ?? "");
    const history = parcel?.steps.map(statusOf) ?? [];
    return {
      status: 200,
      body: {
        carrier,
        tracking_number: number,
        address_from: null,
        address_to: null,
        eta: parcel?.estimatedDelivery ? `${parcel.estimatedDelivery}T00:00:00Z` : null,
        original_eta: null,
        servicelevel: { token: null, name: null },
        metadata: null,
        // Null: Shippo takes any number, and knows nothing of this one.
        tracking_status: history.at(-1) ?? null,
        tracking_history: history,
        messages: [],
      },
    };
  },
  error: (status) =>
    status === 404
      ? { status, headers: { "content-type": "text/html" }, body: "<h1>Not Found</h1>" }
      : { status, body: { detail: DETAILS[status] ?? "Server error." } },
};

function statusOf({ stage, at, text, city, region, country }: Step, index: number) {
  const [status, code, isActionRequired, details] = SCANS[stage];
  return {
    object_id: `sandbox${index}`,
    status,
    status_details: text ?? details,
    status_date: utcText(at),
    substatus: { code, text: details, action_required: isActionRequired },
    location: city ? { city, state: region ?? "", zip: "", country: country ?? "" } : null,
  };
}
