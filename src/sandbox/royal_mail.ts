import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [eventCode, eventName, statusCategory]. A cancelled item has no code: the nearest tells no stage. */
const SCANS: Readonly<Record<Stage, readonly [string, string, string]>> = {
  pre_transit: ["EVAIP", "Sender despatched item", "IN TRANSIT"],
  in_transit: ["EVNMI", "Forwarded - Mis-sort", "IN TRANSIT"],
  out_for_delivery: ["EVGPD", "Due to be delivered today", "IN TRANSIT"],
  available_for_pickup: ["EVKLC", "Ready to be collected", "IN TRANSIT"],
  delivered: ["EVKSP", "Delivered", "DELIVERED"],
  exception: ["EVKNA", "Delivery attempted - no answer", "IN TRANSIT"],
  return_to_sender: ["EVRTS", "Return to sender", "IN TRANSIT"],
  cancelled: ["RORXS", "Request taken", "IN TRANSIT"],
  no_change: ["ASRXS", "Safe place requested", "IN TRANSIT"],
  unlisted: ["EVQQQ", "A scan from the future", "IN TRANSIT"],
};

/** What the gateway says by itself, without an error code. */
const MESSAGES: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  405: "Method Not Allowed",
  429: "Too Many Requests",
  500: "Internal Server Error",
};

/** What the service behind it says. */
const ERRORS: Readonly<Record<number, readonly [string, string, string]>> = {
  400: ["Bad Request", "E0004", "Failed header validation for X-Accept-RMG-Terms"],
  403: ["Forbidden", "E0016", "Access Denied"],
  404: ["Not Found", "E1142", "Barcode reference isn't recognised"],
  503: ["Service Unavailable", "E0001", "Service unavailable"],
};

const LOOKUP = /^\/mailpieces\/v2\/([^/]+)\/events$/;

/** Royal Mail Tracking v2: the history of one mail piece. */
export const royal_mail: Wire = {
  api: "royal_mail",
  basePath: "/mailpieces/v2",
  credentials: { CLIENT_ID: "sandbox-rm-client", CLIENT_SECRET: "sandbox-rm-secret" },
  route({ method, url }) {
    const [, number] = LOOKUP.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ headers }, { number, show }) {
    const { CLIENT_ID, CLIENT_SECRET } = royal_mail.credentials;
    if (headers["x-ibm-client-id"] !== CLIENT_ID) return royal_mail.error(401);
    if (headers["x-ibm-client-secret"] !== CLIENT_SECRET) return royal_mail.error(401);
    if (headers["x-accept-rmg-terms"] !== "yes") return royal_mail.error(400);
    const parcel = show(number ?? "");
    if (parcel === null) return royal_mail.error(404);
    const events = parcel.steps.toReversed().map(eventOf);
    const newest = parcel.steps.at(-1);
    return {
      status: 200,
      body: {
        mailPieces: {
          mailPieceId: number,
          carrierShortName: "RM",
          carrierFullName: "Royal Mail Group Ltd",
          summary: {
            oneDBarcode: number,
            lastEventCode: events[0]?.eventCode,
            lastEventName: events[0]?.eventName,
            lastEventDateTime: events[0]?.eventDateTime,
            lastEventLocationName: events[0]?.locationName,
            statusCategory: newest && SCANS[newest.stage][2],
          },
          signature:
            newest?.stage === "delivered" && parcel.signedBy
              ? { recipientName: parcel.signedBy, signatureDateTime: newest.at }
              : undefined,
          estimatedDelivery: parcel.estimatedDelivery
            ? { date: parcel.estimatedDelivery }
            : undefined,
          events,
        },
      },
    };
  },
  error(status) {
    const [httpMessage, errorCode, errorDescription] = ERRORS[status] ?? [];
    const httpCode = String(status);
    return {
      status,
      body:
        errorCode === undefined
          ? { httpCode, httpMessage: MESSAGES[status] ?? "Error", moreInformation: "Made up." }
          : { httpCode, httpMessage, errors: [{ errorCode, errorDescription }] },
    };
  },
};

function eventOf({ stage, at, text, city, region, country }: Step) {
  const [eventCode, eventName] = SCANS[stage];
  return {
    eventCode,
    eventName: text ?? eventName,
    eventDateTime: at,
    locationName: [city, region, country].filter(Boolean).join(", ") || undefined,
  };
}
