import type { SCAN_STAGES, Step, VisibleParcel } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [eventType, derivedStatusCode, eventDescription] */
const SCANS: Readonly<Record<Stage, readonly [string, string, string]>> = {
  pre_transit: ["OC", "IN", "Shipment information sent to FedEx"],
  in_transit: ["DP", "IT", "Left FedEx origin facility"],
  out_for_delivery: ["OD", "IT", "On FedEx vehicle for delivery"],
  available_for_pickup: ["HP", "IT", "Ready for recipient pickup"],
  delivered: ["DL", "DL", "Delivered"],
  exception: ["DE", "DE", "Delivery exception"],
  return_to_sender: ["RS", "RS", "Returning package to shipper"],
  cancelled: ["CA", "CA", "Shipment cancelled by sender"],
  no_change: ["RR", "IT", "Delivery option requested"],
  unlisted: ["ZZ", "ZZ", "A scan from the future"],
};

const ERROR_CODES: Readonly<Record<number, string>> = {
  400: "TRACKING.TRACKINGNUMBER.EMPTY",
  401: "NOT.AUTHORIZED.ERROR",
  403: "FORBIDDEN.ERROR",
  404: "NOT.FOUND.ERROR",
  429: "TOO.MANY.REQUESTS.ERROR",
  500: "INTERNAL.SERVER.ERROR",
  503: "SERVICE.UNAVAILABLE.ERROR",
};

/** FedEx Basic Integrated Visibility. Its token service takes the credentials in the form; Pitney Bowes' is at the same path. */
export const fedex: Wire = {
  api: "fedex",
  basePath: "/fedex",
  credentials: { CLIENT_ID: "sandbox-fedex-client", CLIENT_SECRET: "sandbox-fedex-secret" },
  route({ method, url, headers, body }) {
    if (method !== "POST") return null;
    if (url.pathname === "/oauth/token")
      return headers.authorization === undefined ? { kind: "token", number: null } : null;
    if (url.pathname !== "/fedex/track/v1/trackingnumbers") return null;
    const numbers = numbersIn(body);
    return { kind: "lookup", number: numbers[0] ?? "", numbers };
  },
  answer({ headers, body }, { number, numbers, show, tokens }) {
    if (number === null) {
      const form = new URLSearchParams(body);
      const { CLIENT_ID, CLIENT_SECRET } = fedex.credentials;
      if (form.get("client_id") !== CLIENT_ID || form.get("client_secret") !== CLIENT_SECRET)
        return fedex.error(401);
      if (form.get("grant_type") !== "client_credentials") return fedex.error(400);
      return {
        status: 200,
        body: {
          access_token: tokens.issue(),
          token_type: "bearer",
          expires_in: Math.floor(tokens.lifeMs / 1_000),
          scope: "CXS",
        },
      };
    }
    if (!tokens.accepts(headers.authorization)) return fedex.error(401);
    if (numbers.length === 0 || numbers.length > 30) return fedex.error(400);
    return {
      status: 200,
      body: {
        transactionId: "sandbox",
        output: {
          completeTrackResults: numbers.map((trackingNumber) => ({
            trackingNumber,
            trackResults: [resultOf(trackingNumber, show(trackingNumber))],
          })),
        },
      },
    };
  },
  error: (status) => ({
    status,
    body: {
      transactionId: "sandbox",
      errors: [{ code: ERROR_CODES[status] ?? "ERROR", message: "The sandbox says so." }],
    },
  }),
};

function numbersIn(body: string): string[] {
  try {
    const { trackingInfo } = JSON.parse(body) as {
      trackingInfo: { trackingNumberInfo: { trackingNumber: string } }[];
    };
    return trackingInfo.map(({ trackingNumberInfo }) => trackingNumberInfo.trackingNumber);
  } catch {
    return [];
  }
}

function resultOf(trackingNumber: string, parcel: VisibleParcel | null) {
  const trackingNumberInfo = { trackingNumber, trackingNumberUniqueId: "", carrierCode: "" };
  const newest = parcel?.steps.at(-1);
  if (parcel === null || newest === undefined)
    return {
      trackingNumberInfo,
      error: {
        code: "TRACKING.TRACKINGNUMBER.NOTFOUND",
        message: "Tracking number cannot be found.",
      },
    };
  const [code, derivedCode, description] = SCANS[newest.stage];
  const isDelivered = newest.stage === "delivered";
  return {
    trackingNumberInfo,
    latestStatusDetail: {
      code,
      derivedCode,
      statusByLocale: newest.text ?? description,
      description: newest.text ?? description,
    },
    dateAndTimes: [
      ...(isDelivered ? [{ type: "ACTUAL_DELIVERY", dateTime: newest.at }] : []),
      ...(parcel.estimatedDelivery
        ? [{ type: "ESTIMATED_DELIVERY", dateTime: `${parcel.estimatedDelivery}T00:00:00` }]
        : []),
    ],
    deliveryDetails: { receivedByName: (isDelivered && parcel.signedBy) || "" },
    scanEvents: parcel.steps.toReversed().map(eventOf),
  };
}

function eventOf({ stage, at, text, city, region, country }: Step) {
  const [eventType, derivedStatusCode, description] = SCANS[stage];
  const isException = stage === "exception";
  return {
    date: at,
    eventType,
    eventDescription: text ?? description,
    exceptionCode: isException ? "08" : "",
    exceptionDescription: isException ? "Customer not available or business closed" : "",
    scanLocation: {
      streetLines: [""],
      city,
      stateOrProvinceCode: region,
      countryCode: country,
      residential: false,
    },
    derivedStatusCode,
  };
}
