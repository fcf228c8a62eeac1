import { z } from "zod";
import { NotFound } from "../errors.ts";
import { aggregatorToken } from "./aggregatorToken.ts";
import type { CarrierAdapter, CarrierTime, DeliveryEstimate } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { httpsUrl } from "./httpsUrl.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { stageTable } from "./stageTable.ts";

/** All of EasyPost's statuses. "error" is EasyPost's own failure to read the carrier, and listed with the exceptions. */
const stages = stageTable({
  unknown: "unknown",
  pre_transit: "pre_transit",
  in_transit: "in_transit",
  out_for_delivery: "out_for_delivery",
  delivered: "delivered",
  available_for_pickup: "available_for_pickup",
  return_to_sender: "return_to_sender",
  exception: "failure error",
  cancelled: "cancelled",
});

/**
 * Our carrier code → EasyPost's name. USPS and FedEx stand in EasyPost's own
 * examples; the others are its account types without "Account", which nobody
 * has confirmed for trackers. DHLExpress is one of several DHLs there: parcels
 * of DHL Paket or eCommerce are not found under it.
 */
const CARRIER_NAMES: ReadonlyMap<string, string> = new Map([
  ["usps", "USPS"],
  ["fedex", "FedEx"],
  ["ups", "UPS"],
  ["dhl", "DHLExpress"],
  ["royal_mail", "RoyalMail"],
  ["parcelforce", "Parcelforce"],
  ["canada_post", "CanadaPost"],
  ["australia_post", "AustraliaPost"],
  ["la_poste", "LaPoste"],
  ["postnl", "PostNL"],
]);

/** Details that ask something of the recipient. Our reading of the words. */
const ACTION_REQUIRED: ReadonlySet<string> = new Set(["awaiting_information"]);

const detail = z.object({
  status: looseText,
  status_detail: looseText,
  message: looseText,
  datetime: looseText,
  carrier_code: looseText,
  tracking_location: looseObject({ city: looseText, state: looseText, country: looseText }),
});

const reply = z.object({
  tracking_code: looseText,
  status: z.string(),
  status_detail: looseText,
  signed_by: looseText,
  est_delivery_date: looseText,
  public_url: looseText,
  carrier_detail: looseObject({ est_delivery_date_local: looseText }),
  tracking_details: looseList(detail),
});

type Tracker = z.output<typeof reply>;
type Detail = z.output<typeof detail>;

const errorBody = z.object({ error: z.object({ code: looseText }) });

/**
 * EasyPost trackers: an aggregator. Making a tracker that exists (same number,
 * same carrier, within about three months) gives the old one, so one request
 * both tells EasyPost of a parcel and asks about it.
 */
export const easypost: CarrierAdapter<Tracker> = {
  code: "easypost",
  name: "EasyPost",
  baseUrl: "https://api.easypost.com/v2",
  credentials: { API_KEY: "the production API key of your EasyPost account" },
  authentication: {
    kind: "header",
    headers: ({ API_KEY }) => ({
      authorization: `Basic ${Buffer.from(`${API_KEY?.reveal()}:`).toString("base64")}`,
    }),
  },
  request([subject]) {
    const carrier = aggregatorToken(CARRIER_NAMES, subject?.carrierCode ?? "", "EasyPost");
    return {
      method: "POST",
      path: "/trackers",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ tracker: { tracking_code: subject?.trackingNumber, carrier } }),
    };
  },
  reply,
  stages,
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    return data === undefined ? null : (data.error.code ?? "error");
  },
  parse(tracker, { trackingNumber }) {
    const { status, tracking_details: details } = tracker;
    if (status === "unknown" && details.length === 0)
      throw new NotFound("UNKNOWN", "EasyPost has found nothing about this number (yet).");
    const { warnings } = chooseByNumber([tracker], trackingNumber, (t) => [t.tracking_code]);
    // Oldest first already.
    const read = eventsFromScans(details.map(toScan));
    const stage = stages[status];
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(rawCode(tracker)),
      rawText: cleanText(details.at(-1)?.message),
      // Not `is_return`: that is a label bought for sending something back, which then arrives.
      isReturn: [tracker, ...details].some(isGoingBack),
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(tracker),
      signedBy: cleanText(tracker.signed_by),
      trackingUrl: httpsUrl(tracker.public_url),
      warnings: [
        ...warnings,
        ...read.warnings,
        ...(status === "error" ? ["EasyPost could not read what the carrier says"] : []),
      ],
    };
  },
};

function rawCode({ status, status_detail }: Pick<Detail, "status" | "status_detail">): string {
  return [status, status_detail].filter(Boolean).join("/") || "none";
}

function isGoingBack({ status, status_detail }: Pick<Detail, "status" | "status_detail">): boolean {
  return status === "return_to_sender" || status_detail === "return";
}

function toScan(detail: Detail): Scan {
  const { status, status_detail, message, datetime, carrier_code, tracking_location } = detail;
  const { city, state, country } = tracking_location ?? {};
  const stage = stages[status ?? ""];
  return {
    time: timeOf(datetime),
    rawTime: datetime ?? "",
    rawCode: rawCode(detail),
    stage,
    description: message,
    location: [city, state, country].filter(Boolean).join(", "),
    countryCode: country,
    reasonCode: stage === "exception" ? status_detail : null,
    isActionRequired: ACTION_REQUIRED.has(status_detail ?? ""),
    // Many of a carrier's codes become one of EasyPost's.
    distinction: carrier_code || message,
  };
}

/**
 * The instant is kept as EasyPost gives it. Where it does not know a scan's
 * place it writes the carrier's clock down as UTC, so a wall clock behind a Z
 * would be a guess, and its day too: there is none.
 */
function timeOf(text: string | undefined): CarrierTime | null {
  const time = timeFromIso(text);
  return time?.timeZone === "UTC" ? { ...time, localTime: null } : time;
}

/** The day at the door where EasyPost gives it; otherwise the time in UTC, which it writes as midnight for a day. */
function estimateOf({ carrier_detail, est_delivery_date }: Tracker): DeliveryEstimate | null {
  const day = estimateFromIso(carrier_detail?.est_delivery_date_local, null);
  return day ?? estimateFromIso(est_delivery_date, null);
}
