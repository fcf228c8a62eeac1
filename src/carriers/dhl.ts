import { z } from "zod";
import { NotFound } from "../errors.ts";
import type { CarrierAdapter, DeliveryEstimate } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { httpsUrl } from "./httpsUrl.ts";
import { looseFlag, looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";

/**
 * All five codes of DHL's unified API. There is none for "out for delivery",
 * and it is not read from the text. "unknown" turns up in the middle of a
 * history (a label was made, a sack closed) and says nothing of the stage.
 */
const stages = stageTable({
  pre_transit: "pre-transit",
  in_transit: "transit",
  delivered: "delivered",
  exception: "failure",
  no_change: "unknown",
});

const scan = z.object({
  timestamp: looseText,
  statusCode: looseText,
  status: looseText,
  description: looseText,
  location: looseObject({
    address: looseObject({ countryCode: looseText, addressLocality: looseText }),
  }),
});

/** The signer comes as a person with a name or its parts, and is not worth losing an answer for. */
const person = looseObject({ name: looseText, givenName: looseText, familyName: looseText });

const shipment = z.object({
  id: looseText,
  status: scan.nullish(),
  returnFlag: looseFlag,
  serviceUrl: looseText,
  estimatedTimeOfDelivery: looseText,
  estimatedDeliveryTimeFrame: looseObject({
    estimatedFrom: looseText,
    estimatedThrough: looseText,
  }),
  details: looseObject({
    proofOfDelivery: looseObject({ signed: z.union([z.string(), person]).catch(undefined) }),
    pieceIds: looseList(looseText),
    references: looseList(z.object({ number: looseText })),
  }),
  events: looseList(scan),
});

const reply = z.object({ shipments: z.array(shipment) });

type Shipment = z.output<typeof shipment>;
type DhlScan = z.output<typeof scan>;

/** DHL Shipment Tracking, unified: one API for Express, Parcel, eCommerce and Deutsche Post. One number a call. */
export const dhl: CarrierAdapter<z.output<typeof reply>> = {
  code: "dhl",
  name: "DHL",
  baseUrl: "https://api-eu.dhl.com/track",
  credentials: { API_KEY: "the API key of your app at developer.dhl.com" },
  authentication: {
    kind: "header",
    headers: ({ API_KEY }) => ({ "DHL-API-Key": API_KEY?.reveal() ?? "" }),
  },
  request: ([subject]) => ({
    method: "GET",
    path: `/shipments?trackingNumber=${encodeURIComponent(subject?.trackingNumber ?? "")}&language=en`,
  }),
  reply,
  stages,
  parse({ shipments }, { trackingNumber }) {
    if (shipments.length === 0)
      throw new NotFound("NO_SHIPMENT", "DHL knows no shipment with this number.");
    const { chosen, warnings } = chooseByNumber(shipments, trackingNumber, numbersOf);
    const current = chosen.status;
    const read = eventsFromScans(oldestFirst(history(chosen).map(toScan)));
    const stage = stages[current?.statusCode ?? ""];
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(current?.statusCode),
      rawText: cleanText(current?.description ?? current?.status),
      isReturn: chosen.returnFlag,
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(chosen),
      signedBy: signerOf(chosen),
      trackingUrl: httpsUrl(chosen.serviceUrl),
      warnings: [...warnings, ...read.warnings],
    };
  },
};

/** A parcel is also asked for by the number of one of its pieces or references. */
function numbersOf({ id, details }: Shipment): (string | undefined)[] {
  return [id, ...(details?.pieceIds ?? []), ...(details?.references ?? []).map((r) => r.number)];
}

/** Newest first, as DHL sends them. The current status is a scan too where the list lacks it. */
function history({ status, events }: Shipment): readonly DhlScan[] {
  const isListed =
    !status?.timestamp ||
    events.some((e) => e.timestamp === status.timestamp && e.statusCode === status.statusCode);
  return isListed ? events : [status, ...events];
}

function toScan(scan: DhlScan): Scan {
  const address = scan.location?.address;
  return {
    time: timeFromIso(scan.timestamp),
    rawTime: scan.timestamp ?? "",
    rawCode: scan.statusCode ?? "none",
    stage: stages[scan.statusCode ?? ""],
    description: scan.description ?? scan.status,
    location: address?.addressLocality,
    countryCode: address?.countryCode,
    // Five codes for everything: two scans of one second differ in their text only.
    distinction: scan.status ?? scan.description,
  };
}

function estimateOf(shipment: Shipment): DeliveryEstimate | null {
  const frame = shipment.estimatedDeliveryTimeFrame;
  const day = timeFromIso(shipment.estimatedTimeOfDelivery);
  const from = timeFromIso(frame?.estimatedFrom) ?? day;
  const until = timeFromIso(frame?.estimatedThrough) ?? from;
  if (!from?.localTime || !until?.localTime) return null;
  const { timeZone, precision } = from;
  return { from: from.localTime, until: until.localTime, timeZone, precision };
}

function signerOf({ details }: Shipment): string | null {
  const signed = details?.proofOfDelivery?.signed;
  if (typeof signed !== "object") return cleanText(signed);
  return cleanText(signed.name ?? [signed.givenName, signed.familyName].filter(Boolean).join(" "));
}
