import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [standard code, the carrier's code, description, package status]. There is none for a cancelled label. */
const SCANS: Readonly<Record<Stage, readonly [string, string, string, string]>> = {
  pre_transit: ["PSR", "MA", "Tracking Details Uploaded", "Manifest"],
  in_transit: ["TRD", "10", "Processed", "InTransit"],
  out_for_delivery: ["OFD", "OF", "Out for Delivery", "InTransit"],
  available_for_pickup: ["AWP", "14", "Awaiting Pickup", "InTransit"],
  delivered: ["DLD", "01", "Delivered", "Delivered"],
  exception: ["DAT", "02", "Delivery Attempt", "InTransit"],
  return_to_sender: ["RTS", "09", "Return - Shipped to Retailer", "InTransit"],
  cancelled: ["INF", "VD", "Label Voided", "Manifest"],
  no_change: ["INF", "GC", "Information Event", "InTransit"],
  unlisted: ["ZZZ", "ZZ", "A Scan from the Future", "Teleported"],
};

/** Those it sells labels of, by its own spelling. */
const CARRIERS = new Set(["USPS", "UPS", "FedEx", "PBCS"]);

const LOOKUP = /^\/shippingservices\/v1\/tracking\/([^/]+)$/;

/** Pitney Bowes Shipping API. Its token service takes the credentials as Basic; FedEx's is at the same path. */
export const pitney_bowes: Wire = {
  api: "pitney_bowes",
  basePath: "/shippingservices",
  credentials: { CLIENT_ID: "sandbox-pb-client", CLIENT_SECRET: "sandbox-pb-secret" },
  route({ method, url, headers }) {
    if (method === "POST" && url.pathname === "/oauth/token")
      return headers.authorization === undefined ? null : { kind: "token", number: null };
    const [, number] = LOOKUP.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ url, headers, body }, { number, show, tokens }) {
    if (number === null) {
      const { CLIENT_ID, CLIENT_SECRET } = pitney_bowes.credentials;
      const basic = Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString("base64");
      if (headers.authorization !== `Basic ${basic}`) return pitney_bowes.error(401);
      if (new URLSearchParams(body).get("grant_type") !== "client_credentials")
        return pitney_bowes.error(400);
      return {
        status: 200,
        body: {
          access_token: tokens.issue(),
          tokenType: "BearerToken",
          // A text, as documented.
          expires_in: String(Math.floor(tokens.lifeMs / 1_000)),
        },
      };
    }
    if (!tokens.accepts(headers.authorization)) return pitney_bowes.error(401);
    const carrier = url.searchParams.get("carrier") ?? "";
    if (
      url.searchParams.get("packageIdentifierType") !== "TrackingNumber" ||
      !CARRIERS.has(carrier)
    )
      return pitney_bowes.error(400);
    const parcel = show(number);
    if (parcel === null) return pitney_bowes.error(404);
    const newest = parcel.steps.at(-1);
    const [, , , status] = SCANS[newest?.stage ?? "unlisted"];
    return {
      status: 200,
      body: {
        packageCount: 1,
        carrier,
        trackingNumber: number,
        status: status === "InTransit" ? "In Transit" : status,
        estimatedDeliveryDate: parcel.estimatedDelivery ?? null,
        estimatedDeliveryTime: "00:00:00",
        ...(newest?.stage === "delivered"
          ? {
              deliveryDate: newest.at.slice(0, 10),
              deliveryTime: newest.at.slice(11, 19),
              signedBy: parcel.signedBy ?? null,
            }
          : {}),
        scanDetailsList: parcel.steps.toReversed().map(scanOf),
      },
    };
  },
  error: (status) => ({
    status,
    body: {
      errors: [
        {
          errorCode: status === 404 ? "PB-TRKPKG-ERR-7600" : `PB-SANDBOX-ERR-${status}`,
          errorDescription: "The sandbox says so.",
          parameters: [],
        },
      ],
    },
  }),
};

function scanOf({ stage, at, text, city, region, country }: Step) {
  const [l1Code, scanType, description, packageStatus] = SCANS[stage];
  return {
    // Wall time; no zone is told.
    eventDate: at.slice(0, 10),
    eventTime: at.slice(11, 19),
    eventCity: city,
    eventStateOrProvince: region,
    country,
    scanType,
    scanDescription: text ?? description,
    packageStatus,
    l1Code,
  };
}
