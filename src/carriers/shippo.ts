import { z } from "zod";
import { NotFound } from "../errors.ts";
import { aggregatorToken } from "./aggregatorToken.ts";
import type { CarrierAdapter } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { looseFlag, looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";

/**
 * Shippo's six statuses in capitals, and two substatuses that say more than the
 * TRANSIT they come under. The names of those two are not verified; a wrong one
 * would leave the parcel in transit.
 */
const stages = stageTable({
  unknown: "UNKNOWN",
  pre_transit: "PRE_TRANSIT",
  in_transit: "TRANSIT",
  out_for_delivery: "out_for_delivery",
  available_for_pickup: "pickup_available",
  delivered: "DELIVERED",
  return_to_sender: "RETURNED",
  exception: "FAILURE",
});

/** The substatuses of the table above. */
const FINER: ReadonlySet<string> = new Set(["out_for_delivery", "pickup_available"]);

/**
 * Our carrier code → Shippo's token, from its list of tracking carriers. Of its
 * several DHLs only Express is asked: parcels of DHL Germany or eCommerce are
 * not found under it. PostNL is not in the list.
 */
const TOKENS: ReadonlyMap<string, string> = new Map([
  ["ups", "ups"],
  ["usps", "usps"],
  ["fedex", "fedex"],
  ["dhl", "dhl_express"],
  ["royal_mail", "royal_mail"],
  ["parcelforce", "parcelforce"],
  ["canada_post", "canada_post"],
  ["australia_post", "australia_post"],
  ["la_poste", "la_poste"],
  ["pitney_bowes", "pitney_bowes"],
  // Shippo's own stand-in carrier, for a test key and numbers such as SHIPPO_TRANSIT: not verified.
  ["shippo", "shippo"],
]);

const status = z.object({
  status: looseText,
  status_details: looseText,
  status_date: looseText,
  substatus: looseObject({ code: looseText, action_required: looseFlag }),
  location: looseObject({ city: looseText, state: looseText, country: looseText }),
});

const reply = z.object({
  tracking_number: z.string(),
  eta: looseText,
  tracking_status: status.nullish(),
  tracking_history: looseList(status),
});

type Track = z.output<typeof reply>;
type Status = z.output<typeof status>;

/**
 * Shippo tracking, an aggregator. Only GET is used, which needs no registering:
 * POST would send each update to the account's webhooks too, and it takes any
 * number at all, so its 201 says nothing about the parcel.
 */
export const shippo: CarrierAdapter<Track> = {
  code: "shippo",
  name: "Shippo",
  baseUrl: "https://api.goshippo.com",
  credentials: { API_KEY: "the live API token of your account at goshippo.com" },
  authentication: {
    kind: "header",
    headers: ({ API_KEY }) => ({ authorization: `ShippoToken ${API_KEY?.reveal() ?? ""}` }),
  },
  request([subject]) {
    const token = aggregatorToken(TOKENS, subject?.carrierCode ?? "", "Shippo");
    return {
      method: "GET",
      path: `/tracks/${token}/${encodeURIComponent(subject?.trackingNumber ?? "")}`,
    };
  },
  reply,
  stages,
  parse(track, { trackingNumber }) {
    const { tracking_status: current, tracking_history: history } = track;
    if (!current && history.length === 0)
      throw new NotFound("NO_STATUS", "Shippo has found nothing about this number (yet).");
    const { warnings } = chooseByNumber([track], trackingNumber, (t) => [t.tracking_number]);
    // Oldest first already; turned twice where the times say that this answer is not.
    const scans = oldestFirst(scansOf(track).map(toScan).toReversed());
    const read = eventsFromScans(scans);
    const stage = current ? stageOf(current) : undefined;
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: current ? cleanText(rawCode(current)) : null,
      rawText: cleanText(current?.status_details),
      isReturn: scans.some((scan) => scan.stage === "return_to_sender"),
      events: read.events,
      estimate: stage === "delivered" ? null : estimateFromIso(track.eta, null),
      signedBy: null,
      trackingUrl: null,
      warnings: [...warnings, ...read.warnings],
    };
  },
};

/** The current status is a scan too where the history lacks it. */
function scansOf({ tracking_status: current, tracking_history: history }: Track): Status[] {
  const isListed =
    !current?.status_date ||
    history.some((s) => s.status_date === current.status_date && s.status === current.status);
  return isListed ? history : [...history, current];
}

/** Only TRANSIT has something finer; all else is said by the status itself. */
function rawCode({ status, substatus }: Status): string {
  const finer = substatus?.code ?? "";
  return status === "TRANSIT" && FINER.has(finer) ? finer : (status ?? "none");
}

function stageOf(status: Status) {
  return stages[rawCode(status)];
}

function toScan(scan: Status): Scan {
  const { status_date, status_details, substatus, location } = scan;
  const { city, state, country } = location ?? {};
  const time = timeFromIso(status_date);
  const stage = stageOf(scan);
  const isActionRequired = substatus?.action_required ?? false;
  return {
    // Told in UTC, so the clock at the place is not known. Its USPS times look
    // like that very clock with a Z behind it, which no field would tell apart.
    time: time?.timeZone === "UTC" ? { ...time, localTime: null } : time,
    rawTime: status_date ?? "",
    rawCode: rawCode(scan),
    stage,
    description: status_details,
    location: [city, state, country].filter(Boolean).join(", "),
    countryCode: country,
    reasonCode: stage === "exception" || isActionRequired ? substatus?.code : null,
    isActionRequired,
    // Six codes for everything. Not object_id: it changes from one answer to the next.
    distinction: status_details,
  };
}
