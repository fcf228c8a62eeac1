import { z } from "zod";
import { Malformed } from "../errors.ts";
import type { CarrierAdapter, DeliveryEstimate, LookupSubject, Stage } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { plainText } from "./plainText.ts";
import { stageTable } from "./stageTable.ts";
import { timeFromUtc } from "./timeFromUtc.ts";
import { timeOfDay } from "./timeOfDay.ts";

/** USPS's scan event codes, from its Publication 199. */
const stages = stageTable({
  pre_transit: "MA GX 89",
  in_transit: "TM PA OA UA AD 03 10 PC EF SF 07 08 15 06 19 41 42 80 81 82 83",
  out_for_delivery: "OF",
  available_for_pickup: "14 16",
  delivered: "17 43 01",
  exception: "02 30 51 52 53 54 55 56 71 04 05 11",
  return_to_sender: "44 09 21 22 23 24 25 26 27 28 29 31",
  no_change: "GC",
  unknown: "DX",
});

/** `statusCategory` up to its colon, read only where the newest scan tells no stage. */
const stageByCategory = new Map<string, Stage>([
  ["Pre-Shipment", "pre_transit"],
  ["Accepted", "in_transit"],
  ["In Transit", "in_transit"],
  ["In-Transit", "in_transit"],
  ["Out for Delivery", "out_for_delivery"],
  ["Delivered", "delivered"],
  ["Delivered to Agent", "delivered"],
  ["Delivery Attempt", "exception"],
  ["Available for Pickup", "available_for_pickup"],
  ["Alert", "exception"],
  ["Return to Sender", "return_to_sender"],
]);

/** The others have their names from nowhere but what people say of them: a person is told where one decides. */
const CONFIRMED_CATEGORIES = new Set(["Accepted", "Delivered", "Delivery Attempt"]);

/** A notice asks to collect or to order a redelivery, an address asks to be put right. Our reading of the labels. */
const ACTION_REQUIRED = new Set("02 05 52".split(" "));

/** USPS writes HTML: "Priority Mail<SUP>&reg;</SUP>". */
const htmlText = looseText.transform((html) => (html === undefined ? undefined : plainText(html)));

const event = z.object({
  eventType: htmlText,
  eventTimestamp: looseText,
  GMTTimestamp: looseText,
  GMTOffset: looseText,
  eventCountry: htmlText,
  eventCity: htmlText,
  eventState: htmlText,
  name: htmlText,
  eventCode: looseText,
  reasonCode: looseText,
});

const reply = z.object({
  trackingNumber: looseText,
  status: htmlText,
  statusCategory: htmlText,
  statusSummary: htmlText,
  expectedDeliveryTimeStamp: looseText,
  guaranteedDeliveryTimeStamp: looseText,
  predictedDeliveryDate: looseText,
  predictedDeliveryWindowStartTime: looseText,
  predictedDeliveryWindowEndTime: looseText,
  accessControl: looseText,
  trackingEvents: looseList(event),
});

type Reply = z.output<typeof reply>;
type Event = z.output<typeof event>;

const errorBody = z.object({
  error: z.object({ code: looseText, errors: looseList(looseObject({ code: looseText })) }),
});

/**
 * USPS Tracking 3.2. One number a call. USPS answers for the labels of one's
 * own Mailer ID, or of a shipper who agreed; a lookup under a paid agreement
 * is found with a warning.
 */
export const usps: CarrierAdapter<Reply> = {
  code: "usps",
  name: "USPS",
  baseUrl: "https://apis.usps.com",
  credentials: {
    CLIENT_ID:
      "the consumer key of your app at developers.usps.com, with access to Tracking granted",
    CLIENT_SECRET: "the consumer secret of that app",
  },
  authentication: {
    kind: "oauth2",
    tokenRequest: ({ CLIENT_ID, CLIENT_SECRET }) => ({
      method: "POST",
      path: "/oauth2/v3/token",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        client_id: CLIENT_ID?.reveal(),
        client_secret: CLIENT_SECRET?.reveal(),
        grant_type: "client_credentials",
      }),
    }),
  },
  request: ([subject]) => ({
    method: "GET",
    path: `/tracking/v3/tracking/${encodeURIComponent(subject?.trackingNumber ?? "")}?expand=DETAIL`,
  }),
  reply,
  stages,
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    if (data === undefined) return null;
    return data.error.errors.find((error) => error?.code)?.code ?? data.error.code ?? "none";
  },
  // The whole family 1500xx is about the number: not seen yet, not ours, not shown here. USPS mixes its members up.
  outcomes: Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [String(150_000 + i), "not_found" as const]),
  ),
  parse(tracked, subject) {
    const { status, statusSummary, trackingEvents, accessControl } = tracked;
    if (trackingEvents.length === 0 && !tracked.statusCategory)
      throw new Malformed("NO_TRACKING", "USPS answered without scans and without a status.");
    const { warnings } = chooseByNumber([tracked], subject.trackingNumber, (t) =>
      numberOf(t, subject),
    );
    const scans = oldestFirst(
      trackingEvents.map((scan, i) => toScan(scan, i === 0 ? tracked : null)),
    );
    const read = eventsFromScans(scans);
    const current = currentStage(tracked);
    return {
      status: current.stage === undefined || current.stage === "no_change" ? null : current.stage,
      rawStatus: cleanText(trackingEvents[0]?.eventCode ?? tracked.statusCategory),
      rawText: cleanText(status ?? statusSummary),
      // There is no flag: once a scan has turned it round, a delivery is the sender's.
      isReturn: scans.some(({ stage }) => stage === "return_to_sender"),
      events: read.events,
      estimate: current.stage === "delivered" ? null : estimateOf(tracked),
      signedBy: cleanText(
        trackingEvents.find(({ eventCode }) => stages[eventCode ?? ""] === "delivered")?.name,
      ),
      trackingUrl: null,
      warnings: [
        ...warnings,
        ...read.warnings,
        ...(current.warning === null ? [] : [current.warning]),
        ...(accessControl === "IP_AGREEMENT"
          ? ["USPS charges for this lookup: the label is not one of your own"]
          : []),
      ],
    };
  },
};

/** A label that was scanned carries 420 and the ZIP code before the number USPS answers with. */
function numberOf({ trackingNumber }: Reply, subject: LookupSubject): (string | undefined)[] {
  const asked = subject.trackingNumber;
  const isRouted = /^420\d/.test(asked) && trackingNumber && asked.endsWith(trackingNumber);
  return [isRouted ? asked : trackingNumber];
}

/** `current` is the answer the scan is the newest of: USPS's category speaks of that one. */
function toScan(scan: Event, current: Reply | null): Scan {
  const { eventTimestamp, GMTTimestamp, eventCode, eventCity, eventState, eventCountry } = scan;
  const utc = timeFromUtc(GMTTimestamp, scan.GMTOffset);
  // USPS puts a "Z" behind the wall clock of the place, so it tells no zone.
  const local = timeFromIso(eventTimestamp?.trim().replace(/Z$/i, ""));
  const rawTime = eventTimestamp ?? GMTTimestamp ?? "";
  const time =
    utc === null ? local : { ...utc, localTime: utc.localTime ?? local?.localTime ?? null };
  const asksAction = /action needed/i.test(current?.statusCategory ?? "");
  return {
    time: time && { ...time, rawTime: utc === null ? rawTime : rawTimeWithUtc(scan) },
    // Later answers may add the GMT fields: they are no part of a scan's identity.
    rawTime,
    rawCode: eventCode ?? "none",
    stage: stages[eventCode ?? ""],
    description: scan.eventType,
    location: [eventCity, eventState, eventCountry].filter(Boolean).join(", "),
    countryCode: eventCountry,
    reasonCode: scan.reasonCode,
    isActionRequired: asksAction || ACTION_REQUIRED.has(eventCode ?? ""),
  };
}

function rawTimeWithUtc({ eventTimestamp, GMTTimestamp, GMTOffset }: Event): string {
  const utc = [GMTTimestamp, GMTOffset].filter(Boolean).join(" ");
  return [eventTimestamp, `GMT ${utc}`].filter(Boolean).join("; ");
}

/** The newest scan decides, then the category; the texts never do. */
function currentStage({ trackingEvents, statusCategory }: Reply): {
  readonly stage: Stage | undefined;
  readonly warning: string | null;
} {
  const scanned = stages[trackingEvents[0]?.eventCode ?? ""];
  if (scanned !== undefined && scanned !== "no_change") return { stage: scanned, warning: null };
  const category = statusCategory?.split(":", 1)[0]?.trim() ?? "";
  const stage = stageByCategory.get(category);
  if (stage === undefined || CONFIRMED_CATEGORIES.has(category)) return { stage, warning: null };
  return { stage, warning: `status category "${category}" is read by its name only` };
}

/** The prediction, with its window, goes before the day by which it is expected, and that before the guarantee. No zone is named. */
function estimateOf(tracked: Reply): DeliveryEstimate | null {
  const date = [
    tracked.predictedDeliveryDate,
    tracked.expectedDeliveryTimeStamp,
    tracked.guaranteedDeliveryTimeStamp,
  ]
    .map((text) => timeFromIso(text)?.localTime?.slice(0, 10))
    .find(Boolean);
  if (date === undefined) return null;
  const start = timeOfDay(tracked.predictedDeliveryWindowStartTime);
  const end = timeOfDay(tracked.predictedDeliveryWindowEndTime);
  const isPredicted = timeFromIso(tracked.predictedDeliveryDate) !== null;
  if (!isPredicted || start === null || end === null)
    return { from: date, until: date, timeZone: null, precision: "date" };
  return { from: `${date}T${start}`, until: `${date}T${end}`, timeZone: null, precision: "second" };
}
