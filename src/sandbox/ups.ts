import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire, WireReply } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [type, code, statusCode, description] */
const SCANS: Readonly<Record<Stage, readonly [string, string, string, string]>> = {
  pre_transit: ["M", "MP", "003", "Shipper created a label, UPS has not received the package yet."],
  in_transit: ["I", "DP", "005", "Departed from Facility"],
  out_for_delivery: ["I", "OT", "021", "Out For Delivery Today"],
  available_for_pickup: ["I", "2Q", "040", "Ready for Customer Pickup"],
  delivered: ["D", "FS", "011", "DELIVERED"],
  exception: ["X", "48", "022", "The customer was not available. A delivery attempt was made."],
  return_to_sender: ["X", "A1", "035", "Returning to Sender"],
  cancelled: ["MV", "VP", "007", "Shipment Information Voided"],
  no_change: ["U", "UP", "154", "Updated Delivery Date"],
  unlisted: ["ZZ", "ZZ", "999", "A scan from the future"],
};

/** The code and message UPS has been seen to give with each HTTP status. */
const ERRORS: Readonly<Record<number, readonly [string, string]>> = {
  400: ["TV0002", "Invalid request"],
  401: ["250002", "Invalid Authentication Information"],
  403: ["250052", "Blocked Merchant"],
  429: ["10429", "Too Many Requests"],
  500: ["10004", "Something went wrong while processing your request, please try again later"],
  503: ["10003", "Resource is not available"],
};

const LOOKUP = /^\/api\/track\/v1\/details\/([^/]+)$/;

/** UPS Track API v1 and its token service, which sits at the root of the host. */
export const ups: Wire = {
  api: "ups",
  basePath: "/api",
  credentials: { CLIENT_ID: "sandbox-ups-client", CLIENT_SECRET: "sandbox-ups-secret" },
  route({ method, url }) {
    if (method === "POST" && url.pathname === "/security/v1/oauth/token")
      return { kind: "token", number: null };
    const [, number] = LOOKUP.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ headers, body }, { number, show, tokens }) {
    if (number === null) {
      const { CLIENT_ID, CLIENT_SECRET } = ups.credentials;
      const basic = Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString("base64");
      if (headers.authorization !== `Basic ${basic}`) return ups.error(401);
      if (new URLSearchParams(body).get("grant_type") !== "client_credentials")
        return ups.error(400);
      return tokenReply(tokens.issue(), tokens.lifeMs);
    }
    if (!tokens.accepts(headers.authorization)) return ups.error(401);
    if (!headers.transid || !headers.transactionsrc) return ups.error(400);
    const parcel = show(number);
    if (parcel === null)
      return shipmentReply({
        inquiryNumber: number,
        warnings: [{ code: "TW0001", message: "Tracking Information Not Found" }],
      });
    const newestFirst = parcel.steps.toReversed();
    const [newest] = newestFirst;
    const delivery = newest?.stage === "delivered" ? newest.at : null;
    return shipmentReply({
      inquiryNumber: number,
      package: [
        {
          trackingNumber: number,
          currentStatus: newest && statusOf(newest),
          activity: newestFirst.map(activityOf),
          deliveryDate: [
            ...(parcel.estimatedDelivery
              ? [{ type: "SDD", date: compact(parcel.estimatedDelivery) }]
              : []),
            ...(delivery ? [{ type: "DEL", date: compact(delivery.slice(0, 10)) }] : []),
          ],
          ...(delivery
            ? {
                deliveryTime: { type: "DEL", endTime: compact(delivery.slice(11, 19)) },
                deliveryInformation: { receivedBy: parcel.signedBy ?? "" },
              }
            : {}),
          packageCount: 1,
        },
      ],
    });
  },
  error(status) {
    const [code, message] = ERRORS[status] ?? [String(status), "Error"];
    return { status, body: { response: { errors: [{ code, message }] } } };
  },
};

function tokenReply(token: string, lifeMs: number): WireReply {
  return {
    status: 200,
    body: {
      token_type: "Bearer",
      issued_at: String(Date.now()),
      client_id: ups.credentials.CLIENT_ID,
      access_token: token,
      scope: "public",
      // A text, as UPS sends it.
      expires_in: String(Math.floor(lifeMs / 1_000)),
      refresh_count: "0",
      status: "approved",
    },
  };
}

function shipmentReply(shipment: object): WireReply {
  return { status: 200, body: { trackResponse: { shipment: [shipment] } } };
}

function statusOf({ stage, text }: Step) {
  const [type, code, statusCode, description] = SCANS[stage];
  return { type, code, statusCode, description: text ?? description };
}

function activityOf(step: Step) {
  const { at, city, region, country } = step;
  const offset = at.slice(19).replace("Z", "+00:00");
  const gmt = new Date(at).toISOString();
  return {
    location: { address: { city, stateProvince: region, countryCode: country, country } },
    status: statusOf(step),
    date: compact(at.slice(0, 10)),
    time: compact(at.slice(11, 19)),
    // Scans of Mail Innovations have no GMT fields; neither has a scripted time without an offset.
    ...(offset
      ? { gmtDate: compact(gmt.slice(0, 10)), gmtTime: gmt.slice(11, 19), gmtOffset: offset }
      : {}),
  };
}

/** "2025-08-26" → "20250826" */
function compact(text: string): string {
  return text.replaceAll(/[-:]/g, "");
}
