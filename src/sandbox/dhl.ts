import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [statusCode, status]. Five codes are all DHL has. */
const SCANS: Readonly<Record<Stage, readonly [string, string]>> = {
  pre_transit: ["pre-transit", "SHIPMENT DATA RECEIVED"],
  in_transit: ["transit", "PROCESSED AT SORT FACILITY"],
  out_for_delivery: ["transit", "OUT FOR DELIVERY"],
  available_for_pickup: ["transit", "READY FOR COLLECTION"],
  delivered: ["delivered", "DELIVERED"],
  exception: ["failure", "DELIVERY ATTEMPTED, RECIPIENT NOT HOME"],
  return_to_sender: ["transit", "RETURNING TO SENDER"],
  cancelled: ["unknown", "SHIPMENT CANCELLED"],
  no_change: ["unknown", "LABEL CREATED"],
  unlisted: ["teleported", "A SCAN FROM THE FUTURE"],
};

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "No result found",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** DHL Shipment Tracking, unified. */
export const dhl: Wire = {
  api: "dhl",
  basePath: "/track",
  credentials: { API_KEY: "sandbox-dhl-key" },
  route({ method, url }) {
    if (method !== "GET" || url.pathname !== "/track/shipments") return null;
    return { kind: "lookup", number: url.searchParams.get("trackingNumber") };
  },
  answer({ headers }, { number, show }) {
    if (headers["dhl-api-key"] !== dhl.credentials.API_KEY) return dhl.error(401);
    if (!number) return dhl.error(400);
    const parcel = show(number);
    if (parcel === null) return dhl.error(404);
    const events = parcel.steps.toReversed().map(eventOf);
    const isDelivered = parcel.steps.at(-1)?.stage === "delivered";
    return {
      status: 200,
      body: {
        url: `/track/shipments?trackingNumber=${number}`,
        shipments: [
          {
            id: number,
            service: "ecommerce",
            status: events[0],
            returnFlag: parcel.steps.some(({ stage }) => stage === "return_to_sender"),
            estimatedTimeOfDelivery: parcel.estimatedDelivery,
            details: {
              proofOfDelivery:
                isDelivered && parcel.signedBy ? { signed: { name: parcel.signedBy } } : undefined,
            },
            events,
          },
        ],
      },
    };
  },
  error: (status) => ({
    status,
    headers: { "content-type": "application/problem+json" },
    body: { title: TITLES[status] ?? "Error", status, detail: "The sandbox says so." },
  }),
};

function eventOf({ stage, at, text, city, region, country }: Step) {
  const [statusCode, status] = SCANS[stage];
  return {
    // DHL gives the wall clock and no zone.
    timestamp: at.slice(0, 19),
    location: city
      ? {
          address: {
            countryCode: country,
            addressLocality: [city, region, country].filter(Boolean).join(", "),
          },
        }
      : undefined,
    statusCode,
    status: text ?? status,
  };
}
