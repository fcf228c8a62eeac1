import { z } from "zod";
import { Malformed, Rejected } from "../errors.ts";
import type { CarrierAdapter, CarrierTime, DeliveryEstimate, Stage } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { eventsFromScans, type Scan, unlisted } from "./eventsFromScans.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";
import { timeOfDay } from "./timeOfDay.ts";

/** Pitney Bowes' standard event codes, one set for whoever carries the parcel. */
const stages = stageTable({
  pre_transit: "PSR",
  in_transit: "TRD SPH CUC",
  out_for_delivery: "OFD",
  available_for_pickup: "AWP",
  delivered: "DLD",
  exception: "DAT DYU UDL",
  return_to_sender: "RTS",
  no_change: "INF MSC",
});

/** `status` and `packageStatus`, which come with a space and without. */
const stageByStatus = stageTable({
  pre_transit: "Manifest",
  in_transit: "InTransit",
  delivered: "Delivered",
});

/** Whose labels Pitney Bowes sells, in its spelling, which counts. PBCS is its own network, wound down since. */
const CARRIERS = new Map([
  ["usps", "USPS"],
  ["ups", "UPS"],
  ["fedex", "FedEx"],
  ["pitney_bowes", "PBCS"],
]);

const scanDetails = z.object({
  eventDate: looseText,
  eventTime: looseText,
  eventCity: looseText,
  eventStateOrProvince: looseText,
  postalCode: looseText,
  country: looseText,
  // The standard code; answers of an older form lack it.
  l1Code: looseText,
  standardizedEventCode: looseText,
  // The code of whoever carries it.
  scanType: looseText,
  scanDescription: looseText,
  packageStatus: looseText,
});

const reply = z.object({
  trackingNumber: looseText,
  status: looseText,
  estimatedDeliveryDate: looseText,
  estimatedDeliveryTime: looseText,
  deliveryDate: looseText,
  deliveryTime: looseText,
  signedBy: looseText,
  scanDetailsList: looseList(scanDetails),
});

type Reply = z.output<typeof reply>;
type ScanDetails = z.output<typeof scanDetails>;

const error = looseObject({ errorCode: looseText, key: looseText });
/** The unified form, and the older one, a bare list. */
const errorBody = z.union([
  z.object({ errors: z.array(error).min(1) }).transform(({ errors }) => errors),
  z.array(error).min(1),
]);

/**
 * Pitney Bowes Shipping API: a seller of other carriers' labels, so it is asked
 * about a parcel together with who carries it. One number a call.
 */
export const pitney_bowes: CarrierAdapter<Reply> = {
  code: "pitney_bowes",
  name: "Pitney Bowes",
  baseUrl: "https://shipping-api.pitneybowes.com/shippingservices",
  credentials: {
    CLIENT_ID: "the API key of your Pitney Bowes shipping account",
    CLIENT_SECRET: "the API secret of that account",
  },
  authentication: {
    kind: "oauth2",
    tokenRequest: ({ CLIENT_ID, CLIENT_SECRET }) => ({
      method: "POST",
      path: "/oauth/token",
      headers: {
        authorization: `Basic ${Buffer.from(`${CLIENT_ID?.reveal()}:${CLIENT_SECRET?.reveal()}`).toString("base64")}`,
        "content-type": "application/x-www-form-urlencoded",
      },
      body: "grant_type=client_credentials",
    }),
  },
  request([subject]) {
    const carrier = CARRIERS.get(subject?.carrierCode ?? "");
    if (carrier === undefined)
      throw new Rejected(
        "UNSUPPORTED_CARRIER",
        `Pitney Bowes sells no labels of ${subject?.carrierCode}; ask another API about its parcels.`,
      );
    return {
      method: "GET",
      path: `/v1/tracking/${encodeURIComponent(subject?.trackingNumber ?? "")}?packageIdentifierType=TrackingNumber&carrier=${carrier}`,
      headers: { "X-PB-UnifiedErrorStructure": "true" },
    };
  },
  reply,
  stages,
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    return data === undefined ? null : (data[0]?.errorCode ?? data[0]?.key ?? "none");
  },
  // What Pitney Bowes' own libraries take for a number nobody has scanned yet.
  outcomes: { "PB-TRKPKG-ERR-7600": "not_found" },
  parse(tracked, { trackingNumber }) {
    const { status, scanDetailsList } = tracked;
    if (!status && scanDetailsList.length === 0)
      throw new Malformed(
        "NO_TRACKING",
        "Pitney Bowes answered without a status and without scans.",
      );
    const { warnings } = chooseByNumber([tracked], trackingNumber, (t) => [t.trackingNumber]);
    const scans = history(tracked);
    const read = eventsFromScans(scans);
    const stage = stageOfStatus(status);
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(status),
      rawText: cleanText(scanDetailsList[0]?.scanDescription),
      isReturn: scans.some((scan) => scan.stage === "return_to_sender"),
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(tracked),
      signedBy: cleanText(tracked.signedBy),
      trackingUrl: null,
      warnings: [...warnings, ...read.warnings],
    };
  },
};

function stageOfStatus(status: string | undefined): Stage | undefined {
  return stageByStatus[status?.replaceAll(/\s/g, "") ?? ""];
}

/** Oldest first; they come newest first. Where no scan tells of the delivery, its date does. */
function history(tracked: Reply): readonly Scan[] {
  const scans = oldestFirst(tracked.scanDetailsList.map(toScan));
  const time = timeOf(tracked.deliveryDate, tracked.deliveryTime);
  const isTold = scans.some(({ stage }) => stage === "delivered");
  if (time === null || isTold || stageOfStatus(tracked.status) !== "delivered") return scans;
  return [
    ...scans,
    { time, rawTime: time.rawTime, rawCode: tracked.status ?? "none", stage: "delivered" },
  ];
}

/** The standard code decides; without it the carrier's own only where it is one of those, then the status after that scan. */
function toScan(scan: ScanDetails): Scan {
  const { scanType, packageStatus, eventCity, eventStateOrProvince, country } = scan;
  const code = scan.l1Code || scan.standardizedEventCode || scanType || "none";
  const byStatus = stageOfStatus(packageStatus);
  const isByStatus = stages[code] === undefined && byStatus !== undefined;
  const region = [eventStateOrProvince, postalCodeOf(scan)].filter(Boolean).join(" ");
  return {
    time: timeOf(scan.eventDate, scan.eventTime),
    rawTime: rawTimeOf(scan.eventDate, scan.eventTime),
    rawCode: code,
    stage: isByStatus ? byStatus : stages[code],
    description: scan.scanDescription,
    location: [eventCity, region, country].filter(Boolean).join(", "),
    countryCode: country,
    reasonCode: stages[code] === "exception" ? scanType : null,
    warning: isByStatus
      ? `${unlisted(code)}; the package status "${packageStatus}" was read instead`
      : null,
    // One standard code stands for many of the carrier's.
    distinction: scanType,
  };
}

/** ZIP codes come as numbers, which drops their leading zeros. */
function postalCodeOf({ postalCode, country }: ScanDetails): string | undefined {
  const isZip = /^\d{1,5}$/.test(postalCode ?? "") && (!country || country === "US");
  return isZip ? postalCode?.padStart(5, "0") : postalCode;
}

function rawTimeOf(date: string | undefined, time: string | undefined): string {
  return [date, time].filter(Boolean).join(" ");
}

/** Wall time, of a place whose zone nobody names. */
function timeOf(date: string | undefined, time: string | undefined): CarrierTime | null {
  const day = timeFromIso(date);
  if (day?.precision !== "date") return day;
  const clock = timeOfDay(time);
  const rawTime = rawTimeOf(date, time);
  if (clock === null) return { ...day, rawTime };
  return { ...day, localTime: `${day.localTime}T${clock}`, precision: "second", rawTime };
}

/** Midnight stands for no time at all. */
function estimateOf(tracked: Reply): DeliveryEstimate | null {
  const time = timeOf(tracked.estimatedDeliveryDate, tracked.estimatedDeliveryTime);
  if (!time?.localTime) return null;
  const isTimed = /T(?!00:00:00)/.test(time.localTime);
  const day = isTimed ? time.localTime : time.localTime.slice(0, 10);
  return { from: day, until: day, timeZone: null, precision: isTimed ? "second" : "date" };
}
