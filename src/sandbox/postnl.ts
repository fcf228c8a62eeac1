import type { SCAN_STAGES, Step } from "./scenario.ts";
import type { Wire } from "./wire.ts";

type Stage = (typeof SCAN_STAGES)[number];

/** stage → [StatusCode, PhaseCode, StatusDescription]. A return has no code: "not delivered" is the nearest. */
const SCANS: Readonly<Record<Stage, readonly [string, string, string]>> = {
  pre_transit: ["1", "1", "Shipment pre-alerted"],
  in_transit: ["5", "2", "Shipment sorted"],
  out_for_delivery: ["7", "3", "Shipment out for delivery"],
  available_for_pickup: ["12", "4", "Shipment at pick-up location"],
  delivered: ["11", "4", "Shipment delivered"],
  exception: ["8", "3", "Shipment not delivered"],
  return_to_sender: ["8", "3", "Shipment returning to sender"],
  cancelled: ["14", "1", "Shipment definitely not accepted"],
  no_change: ["99", "99", "Not applicable"],
  unlisted: ["77", "2", "A scan from the future"],
};

const LOOKUP = /^\/postnl\/shipment\/v2\/status\/barcode\/([^/]+)$/;

/** PostNL Shipment Status v2. */
export const postnl: Wire = {
  api: "postnl",
  basePath: "/postnl",
  credentials: { API_KEY: "sandbox-postnl-key" },
  route({ method, url }) {
    const [, number] = LOOKUP.exec(url.pathname) ?? [];
    if (method !== "GET" || number === undefined) return null;
    return { kind: "lookup", number: decodeURIComponent(number) };
  },
  answer({ headers, url }, { number, show }) {
    if (headers.apikey !== postnl.credentials.API_KEY) return postnl.error(401);
    const parcel = show(number ?? "");
    if (parcel === null)
      return { status: 200, body: { Warnings: [{ Code: "2", Message: "No shipment found" }] } };
    const newestFirst = parcel.steps.toReversed().map(statusOf);
    const isDetailed = url.searchParams.get("detail") === "true";
    const shipment = {
      MainBarcode: number,
      Barcode: number,
      ShipmentAmount: "1",
      ShipmentCounter: "1",
      Customer: { CustomerCode: "BOOK", CustomerNumber: {}, Name: "{}" },
      ProductCode: "003085",
      ProductDescription: "Standard parcel",
      Reference: "{}",
      DeliveryDate: parcel.estimatedDelivery ?? "{}",
      Status: newestFirst[0],
      ...(isDetailed ? { OldStatus: newestFirst } : {}),
    };
    return {
      status: 200,
      body: { [isDetailed ? "CompleteStatus" : "CurrentStatus"]: { Shipment: shipment } },
    };
  },
  error(status) {
    const message = "The sandbox says so.";
    if (status === 401 || status === 429)
      return { status, body: { message, http_status_code: status } };
    const detail = { errorcode: `sandbox.http.${status}` };
    return { status, body: { fault: { faultstring: message, detail } } };
  },
};

function statusOf({ stage, at, text }: Step) {
  const [StatusCode, PhaseCode, StatusDescription] = SCANS[stage];
  return {
    TimeStamp: dutchClock(at),
    StatusCode,
    StatusDescription: text ?? StatusDescription,
    PhaseCode,
    PhaseDescription: "{}",
  };
}

const DUTCH = new Intl.DateTimeFormat("sv-SE", {
  timeZone: "Europe/Amsterdam",
  dateStyle: "short",
  timeStyle: "medium",
});

/** "2022-11-08T10:13:20+01:00" → "08-11-2022 10:13:20"; a time without an offset is Dutch already. */
function dutchClock(at: string): string {
  const wall = at.length > 19 ? DUTCH.format(new Date(at)) : at;
  return wall.replace(/^(\d{4})-(\d\d)-(\d\d)[T ]/, "$3-$2-$1 ");
}
