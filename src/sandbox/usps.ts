import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [eventCode, eventType, statusCategory]. USPS has no code for a cancelled label; it goes on waiting for the item. */
const SCANS: Readonly<Record<Stage, readonly [string, string, string]>> = {
  pre_transit: ["GX", "Shipping Label Created, USPS Awaiting Item", "Pre-Shipment"],
  in_transit: ["10", "Processed through USPS<SUP>&reg;</SUP> Facility", "In Transit"],
  out_for_delivery: ["OF", "Out for Delivery", "Out for Delivery"],
  available_for_pickup: ["14", "Available for Pickup", "Available for Pickup"],
  delivered: ["01", "Delivered, Front Door/Porch", "Delivered"],
  exception: [
    "02",
    "Notice Left (No Authorized Recipient Available)",
    "Delivery Attempt: Action Needed",
  ],
  return_to_sender: ["09", "Return to Sender Processed", "Alert"],
  cancelled: ["MA", "Pre-Shipment Info Sent to USPS", "Pre-Shipment"],
  no_change: ["GC", "Return Receipt Associated", "In Transit"],
  unlisted: ["ZZ", "A Scan from the Future", "Teleported"],
};

const TITLES: Readonly<Record<number, string>> = {
  401: "invalid_oauth_scope",
  403: "Forbidden",
  429: "Too Many Requests.",
  503: "Service Unavailable",
};

const LOOKUP = /^\/usps\/tracking\/v3\/tracking\/([^/]+)$/;

/** USPS Tracking 3.2 and its token service at the root of the host. */
export const usps: Wire = {
  api: "usps",
  basePath: "/usps",
  credentials: { CLIENT_ID: "sandbox-usps-client", CLIENT_SECRET: "sandbox-usps-secret" },
  route({ method, url }) {
    if (method === "POST" && url.pathname === "/oauth2/v3/token")
      return { kind: "token", number: null };
    const [, number] = LOOKUP.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ url, headers, body }, { number, show, tokens }) {
    if (number === null) {
      const asked = credentialsIn(headers["content-type"], body);
      const { CLIENT_ID, CLIENT_SECRET } = usps.credentials;
      if (asked.client_id !== CLIENT_ID || asked.client_secret !== CLIENT_SECRET)
        return { status: 401, body: { error: "invalid_client", error_uri: "" } };
      if (asked.grant_type !== "client_credentials") return usps.error(400);
      return {
        status: 200,
        body: {
          access_token: tokens.issue(),
          token_type: "Bearer",
          issued_at: Date.now(),
          expires_in: Math.floor(tokens.lifeMs / 1_000),
          status: "approved",
          scope: "addresses tracking",
        },
      };
    }
    if (!tokens.accepts(headers.authorization)) return usps.error(401);
    const parcel = show(number);
    if (parcel === null) return errorReply(404, "150002", "A status update is not yet available.");
    const newestFirst = parcel.steps.toReversed();
    const [newest] = newestFirst;
    if (url.searchParams.get("expand") !== "DETAIL")
      return { status: 200, body: { trackingNumber: number, eventSummaries: [] } };
    const [, status, statusCategory] = SCANS[newest?.stage ?? "unlisted"];
    return {
      status: 200,
      body: {
        trackingNumber: number,
        accessControl: "FREE",
        emailEnabled: "true",
        mailClass: "MEDIA_MAIL",
        status: newest?.text ?? status,
        statusCategory,
        statusSummary: `${newest?.text ?? status} on ${newest?.at}.`,
        ...(parcel.estimatedDelivery
          ? { expectedDeliveryTimeStamp: `${parcel.estimatedDelivery}T20:00:00Z` }
          : {}),
        trackingEvents: newestFirst.map((step) => eventOf(step, parcel.signedBy)),
      },
    };
  },
  error: (status) => errorReply(status, String(status), "The sandbox says so."),
};

function credentialsIn(type: string | undefined, body: string): Record<string, unknown> {
  if (!type?.includes("json")) return Object.fromEntries(new URLSearchParams(body));
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function errorReply(status: number, code: string, detail: string) {
  const title = TITLES[status] ?? "";
  return {
    status,
    body: {
      apiVersion: "/tracking/v3",
      error: {
        code: String(status),
        message: "",
        errors: [{ title, detail, status: String(status), code }],
      },
    },
  };
}

function eventOf({ stage, at, text, city, region, country }: Step, signedBy: string | undefined) {
  const [eventCode, eventType] = SCANS[stage];
  const offset = at.slice(19).replace("Z", "+00:00");
  return {
    eventType: text ?? eventType,
    // The wall clock, however it looks.
    eventTimestamp: `${at.slice(0, 19)}Z`,
    ...(offset
      ? {
          GMTTimestamp: new Date(at).toISOString(),
          // Hours are not padded there.
          GMTOffset: offset.replace(/^([+-])0/, "$1"),
        }
      : {}),
    // Domestic scans name no country.
    eventCountry: country === undefined || country === "US" ? null : country,
    eventCity: city ?? null,
    eventState: region ?? null,
    eventZIP: null,
    firm: null,
    name: (stage === "delivered" && signedBy) || null,
    authorizedAgent: "false",
    eventCode,
    reasonCode: null,
  };
}
