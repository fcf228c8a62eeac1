import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire, WireRequest } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [status, status_detail, message] */
const SCANS: Readonly<Record<Stage, readonly [string, string, string]>> = {
  pre_transit: ["pre_transit", "label_created", "Shipping label created"],
  in_transit: ["in_transit", "arrived_at_facility", "Arrived at facility"],
  out_for_delivery: ["out_for_delivery", "out_for_delivery", "Out for delivery"],
  available_for_pickup: ["available_for_pickup", "arrived_at_pickup_location", "Ready for pickup"],
  delivered: ["delivered", "arrived_at_destination", "Delivered"],
  exception: ["failure", "delivery_exception", "Delivery attempted, nobody home"],
  return_to_sender: ["return_to_sender", "return", "Returning to sender"],
  cancelled: ["cancelled", "cancelled", "Label cancelled"],
  no_change: ["unknown", "status_update", "Delivery date updated"],
  unlisted: ["teleported", "unknown", "A scan from the future"],
};

const ERRORS: Readonly<Record<number, string>> = {
  401: "APIKEY.INACTIVE",
  404: "NOT_FOUND",
  422: "PARAMETER.REQUIRED",
  429: "RATE_LIMITED",
  500: "INTERNAL_SERVER_ERROR",
};

/** EasyPost's trackers. Any number makes one; of what nobody scripted it stays unknown. */
export const easypost: Wire = {
  api: "easypost",
  basePath: "/easypost",
  credentials: { API_KEY: "sandbox-easypost-key" },
  route(request) {
    const { method, url } = request;
    if (method !== "POST" || url.pathname !== "/easypost/trackers") return null;
    return { kind: "lookup", number: trackerIn(request)?.tracking_code ?? null };
  },
  answer(request, { number, show }) {
    const basic = Buffer.from(`${easypost.credentials.API_KEY}:`).toString("base64");
    if (request.headers.authorization !== `Basic ${basic}`) return easypost.error(401);
    const carrier = trackerIn(request)?.carrier;
    if (!number || !carrier) return easypost.error(422);
    const parcel = show(number);
    const details = (parcel?.steps ?? []).map((step) => detailOf(step, carrier));
    const newest = details.at(-1);
    return {
      status: 200,
      body: {
        id: "trk_0123456789abcdef0123456789abcdef",
        object: "Tracker",
        mode: "test",
        tracking_code: number,
        status: newest?.status ?? "unknown",
        status_detail: newest?.status_detail ?? "unknown",
        signed_by: newest?.status === "delivered" ? (parcel?.signedBy ?? null) : null,
        est_delivery_date: parcel?.estimatedDelivery
          ? `${parcel.estimatedDelivery}T00:00:00Z`
          : null,
        carrier,
        tracking_details: details,
        carrier_detail: null,
        is_return: false,
        public_url: "https://track.easypost.com/sandbox",
      },
    };
  },
  error(status) {
    const code = ERRORS[status] ?? "ERROR";
    return { status, body: { error: { code, message: "The sandbox says so.", errors: [] } } };
  },
};

interface AskedTracker {
  readonly tracking_code?: string;
  readonly carrier?: string;
}

function trackerIn({ body }: WireRequest): AskedTracker | null {
  try {
    return (JSON.parse(body) as { tracker?: AskedTracker }).tracker ?? null;
  } catch {
    return null;
  }
}

function detailOf({ stage, at, text, city, region, country }: Step, source: string) {
  const [status, status_detail, message] = SCANS[stage];
  // A time without an offset is the carrier's own clock, which EasyPost calls UTC.
  const instant = new Date(at.length > 19 ? at : `${at}Z`).toISOString();
  return {
    object: "TrackingDetail",
    message: text ?? message,
    description: "",
    status,
    status_detail,
    datetime: instant.replace(".000Z", "Z"),
    source,
    carrier_code: "",
    tracking_location: {
      object: "TrackingLocation",
      city: city ?? null,
      state: region ?? null,
      country: country ?? null,
      zip: null,
    },
  };
}
