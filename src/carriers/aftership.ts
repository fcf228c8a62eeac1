import { z } from "zod";
import { NotFound } from "../errors.ts";
import { aggregatorToken } from "./aggregatorToken.ts";
import type { CarrierAdapter, DeliveryEstimate, LookupSubject } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { httpsUrl } from "./httpsUrl.ts";
import { looseFlag, looseList, looseObject, looseText } from "./looseSchema.ts";
import { NotRegistered } from "./notRegistered.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";

/** AfterShip's nine tags, and the two subtags (returning, returned) that mean more than their tag Exception. */
const stages = stageTable({
  unknown: "Pending Expired",
  pre_transit: "InfoReceived",
  in_transit: "InTransit",
  out_for_delivery: "OutForDelivery",
  available_for_pickup: "AvailableForPickup",
  delivered: "Delivered",
  exception: "AttemptFail Exception",
  return_to_sender: "Exception_010 Exception_011",
});

/** The subtags of the table above. */
const RETURNING: ReadonlySet<string> = new Set(["Exception_010", "Exception_011"]);

/**
 * Our carrier code → AfterShip's slug, from its lists of couriers. Its "dhl" is
 * DHL Express: parcels of other DHLs are not found under it. Not verified:
 * parcel-force, and that postnl means the domestic PostNL still.
 */
const SLUGS: ReadonlyMap<string, string> = new Map([
  ["ups", "ups"],
  ["usps", "usps"],
  ["fedex", "fedex"],
  ["dhl", "dhl"],
  ["royal_mail", "royal-mail"],
  ["parcelforce", "parcel-force"],
  ["canada_post", "canada-post"],
  ["australia_post", "australia-post"],
  ["la_poste", "la-poste-colissimo"],
  ["postnl", "postnl"],
]);

/** Held for payment, and an incorrect address. Our reading of AfterShip's list of subtags. */
const ACTION_REQUIRED: ReadonlySet<string> = new Set(["Exception_006", "Exception_007"]);

const checkpoint = z.object({
  checkpoint_time: looseText,
  tag: looseText,
  subtag: looseText,
  subtag_message: looseText,
  message: looseText,
  location: looseText,
  city: looseText,
  state: looseText,
  country_region_name: looseText,
});

const tracking = z.object({
  tracking_number: looseText,
  tag: looseText,
  subtag: looseText,
  subtag_message: looseText,
  return_to_sender: looseFlag,
  signed_by: looseText,
  courier_tracking_link: looseText,
  courier_estimated_delivery_date: looseObject({
    estimated_delivery_date: looseText,
    estimated_delivery_date_min: looseText,
    estimated_delivery_date_max: looseText,
  }),
  latest_estimated_delivery: looseObject({
    datetime: looseText,
    datetime_min: looseText,
    datetime_max: looseText,
  }),
  checkpoints: looseList(checkpoint),
});

const reply = z.object({ data: z.object({ trackings: z.array(tracking) }) });

type AfterShipTracking = z.output<typeof tracking>;
type Checkpoint = z.output<typeof checkpoint>;

const envelope = z.object({ meta: z.object({ code: z.number() }) });

function slugOf({ carrierCode }: LookupSubject): string {
  return aggregatorToken(SLUGS, carrierCode, "AfterShip");
}

/**
 * AfterShip Tracking, an aggregator that must be told of a parcel first. A
 * single tracking is only given by AfterShip's own id, which we do not keep:
 * the list, narrowed to number and courier, is asked instead.
 */
export const aftership: CarrierAdapter<z.output<typeof reply>> = {
  code: "aftership",
  name: "AfterShip",
  baseUrl: "https://api.aftership.com/tracking/2025-01",
  credentials: { API_KEY: "an API key of your organisation at admin.aftership.com" },
  authentication: {
    kind: "header",
    headers: ({ API_KEY }) => ({ "as-api-key": API_KEY?.reveal() ?? "" }),
  },
  request([subject = { trackingNumber: "", carrierCode: "" }]) {
    const number = encodeURIComponent(subject.trackingNumber);
    return { method: "GET", path: `/trackings?tracking_numbers=${number}&slug=${slugOf(subject)}` };
  },
  register: (subject) => ({
    method: "POST",
    path: "/trackings",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ tracking_number: subject.trackingNumber, slug: slugOf(subject) }),
  }),
  reply,
  stages,
  resetHeader: "x-ratelimit-reset",
  errorCode(body) {
    const { data } = envelope.safeParse(body);
    const code = data?.meta.code ?? 200;
    return code >= 200 && code < 300 ? null : String(code);
  },
  outcomes: {
    // Told already, perhaps by another of our processes: as good as told now.
    "4003": "not_found",
    "4004": "not_found",
    // The courier can have no such number (4017: not even one of that form).
    "4005": "not_found",
    "4017": "not_found",
    // The courier is not known, needs more than a number, or is not enabled.
    "4010": "rejected",
    "4011": "rejected",
    "4012": "rejected",
  },
  parse({ data }, { trackingNumber }) {
    if (data.trackings.length === 0) throw new NotRegistered();
    const numberOf = (t: AfterShipTracking) => [t.tracking_number];
    const { chosen, warnings } = chooseByNumber(data.trackings, trackingNumber, numberOf);
    const { tag, checkpoints } = chosen;
    const stage = stageOf(chosen);
    if (stage === "unknown" && checkpoints.length === 0)
      throw new NotFound("NO_CHECKPOINT", "AfterShip has found nothing about this number (yet).");
    // Oldest first already; turned twice where the times say that this answer is not.
    const read = eventsFromScans(oldestFirst(checkpoints.map(toScan).toReversed()));
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(rawCode(chosen)),
      rawText: cleanText(chosen.subtag_message),
      isReturn: chosen.return_to_sender || stage === "return_to_sender",
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(chosen),
      signedBy: cleanText(chosen.signed_by),
      trackingUrl: httpsUrl(chosen.courier_tracking_link),
      warnings: [
        ...warnings,
        ...read.warnings,
        ...(tag === "Expired" ? ["AfterShip has given this parcel up after 30 days"] : []),
      ],
    };
  },
};

function rawCode({ tag, subtag }: Pick<Checkpoint, "tag" | "subtag">): string {
  return subtag !== undefined && RETURNING.has(subtag) ? subtag : (tag ?? "none");
}

function stageOf(tagged: Pick<Checkpoint, "tag" | "subtag">) {
  return stages[rawCode(tagged)];
}

function toScan(checkpoint: Checkpoint): Scan {
  const { checkpoint_time, subtag, subtag_message, message } = checkpoint;
  const { location, city, state, country_region_name } = checkpoint;
  const stage = stageOf(checkpoint);
  return {
    // In the zone of its place, with or without an offset.
    time: timeFromIso(checkpoint_time),
    rawTime: checkpoint_time ?? "",
    rawCode: rawCode(checkpoint),
    stage,
    description: message ?? subtag_message,
    // The country comes as three letters only, which we do not keep.
    location: location || [city, state, country_region_name].filter(Boolean).join(", "),
    reasonCode: stage === "exception" || stage === "return_to_sender" ? subtag : null,
    isActionRequired: ACTION_REQUIRED.has(subtag ?? ""),
    distinction: message,
  };
}

/** What the courier says goes before what AfterShip or its customer works out. */
function estimateOf(tracking: AfterShipTracking): DeliveryEstimate | null {
  const courier = tracking.courier_estimated_delivery_date;
  const latest = tracking.latest_estimated_delivery;
  return (
    estimateFromIso(
      courier?.estimated_delivery_date_min ?? courier?.estimated_delivery_date,
      courier?.estimated_delivery_date_max ?? courier?.estimated_delivery_date,
    ) ??
    estimateFromIso(
      latest?.datetime_min ?? latest?.datetime,
      latest?.datetime_max ?? latest?.datetime,
    )
  );
}
