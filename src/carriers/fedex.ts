import { z } from "zod";
import { type LookupError, type LookupFailure, Malformed } from "../errors.ts";
import type { CarrierAdapter, CarrierTime, DeliveryEstimate, Stage } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseNewest } from "./chooseNewest.ts";
import { cleanText } from "./cleanText.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { type FedexReply, type FedexResult, type FedexScan, fedexReply } from "./fedexReply.ts";
import { looseObject, looseText } from "./looseSchema.ts";
import { numberFailure } from "./numberFailure.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";
import { normalizeTrackingNumber } from "./trackingNumber.ts";

/** FedEx's tracking status codes, from its developer portal. */
const stages = stageTable({
  pre_transit: "OC OX EP AP DR DS RP RG",
  in_transit:
    "PU PX AA AC AF AR AX AE AO CH DP EA EO FD IT IX LO OF OW PF PL PM SF SP TR CC CP CU BR TP",
  out_for_delivery: "AD ED OD",
  available_for_pickup: "HL HP",
  delivered: "DL",
  exception: "PD CD DD DE DY SE",
  return_to_sender: "RS",
  cancelled: "LP RD CA",
  no_change: "RR RM RC",
});

/** What a scan's own type may say beyond the derived code "in transit". Its letters mean other things in other tables of FedEx, so it never ends the way. */
const REFINES_TRANSIT: ReadonlySet<Stage | undefined> = new Set<Stage>([
  "out_for_delivery",
  "available_for_pickup",
  "exception",
  "no_change",
]);

const errorBody = z.object({
  errors: z.array(looseObject({ code: looseText, message: looseText })).min(1),
});

/** Our word: for the day's allowance FedEx documents no code, only the sentence. */
const DAILY_QUOTA = "DAILY.QUOTA";

/** FedEx Basic Integrated Visibility. Up to 30 numbers a call; texts in US English, which no status is ever read from. */
export const fedex: CarrierAdapter<FedexReply> = {
  code: "fedex",
  name: "FedEx",
  baseUrl: "https://apis.fedex.com",
  credentials: {
    CLIENT_ID: "the API key of your project at developer.fedex.com",
    CLIENT_SECRET: "the secret key of that project",
  },
  authentication: {
    kind: "oauth2",
    tokenRequest: ({ CLIENT_ID, CLIENT_SECRET }) => ({
      method: "POST",
      path: "/oauth/token",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: CLIENT_ID?.reveal() ?? "",
        client_secret: CLIENT_SECRET?.reveal() ?? "",
      }).toString(),
    }),
    // Whoever asks for tokens too fast is shut out for ten minutes, and longer if he goes on.
    throttle: { statuses: [403], waitMs: 10 * 60_000 },
  },
  batchSize: 30,
  request: (subjects) => ({
    method: "POST",
    path: "/track/v1/trackingnumbers",
    headers: { "content-type": "application/json", "x-locale": "en_US" },
    body: JSON.stringify({
      includeDetailedScans: true,
      trackingInfo: subjects.map(({ trackingNumber }) => ({
        trackingNumberInfo: { trackingNumber },
      })),
    }),
  }),
  reply: fedexReply,
  stages,
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    if (data === undefined) return null;
    const isDaily = data.errors.some((e) => /00:00\s*GMT|\bdaily\b/i.test(e?.message ?? ""));
    return isDaily ? DAILY_QUOTA : (data.errors[0]?.code ?? "none");
  },
  outcomes: {
    [DAILY_QUOTA]: "out_of_quota",
    "TRACKING.TRACKINGNUMBER.NOTFOUND": "not_found",
    "TRACKING.DATA.NOTFOUND": "not_found",
  },
  parse({ output }, { trackingNumber }) {
    const { chosen, warnings } = chooseNewest(resultsFor(output, trackingNumber), shippedAt);
    const current = chosen.latestStatusDetail;
    const { code, stage } = stageOf(current?.derivedCode, current?.code);
    const scans = history(chosen);
    const read = eventsFromScans(scans);
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(code),
      rawText: cleanText(current?.description || current?.statusByLocale),
      isReturn: stage === "return_to_sender" || isReturn(chosen, scans),
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(chosen),
      signedBy: cleanText(
        chosen.deliveryDetails?.signedByName || chosen.deliveryDetails?.receivedByName,
      ),
      trackingUrl: null,
      warnings: [...warnings, ...read.warnings],
    };
  },
};

/**
 * What the answer says of one number. Never the only parcel there is: in an
 * answer to many it would be somebody else's.
 * @throws LookupError where there is none
 */
function resultsFor(output: FedexReply["output"], asked: string): readonly FedexResult[] {
  const isAsked = (number: string | undefined) =>
    number !== undefined && normalizeTrackingNumber(number) === normalizeTrackingNumber(asked);
  const results = output.completeTrackResults.flatMap(({ trackingNumber, trackResults }) =>
    trackResults.filter(
      (result) => isAsked(trackingNumber) || isAsked(result.trackingNumberInfo?.trackingNumber),
    ),
  );
  const known = results.filter(({ error }) => !error?.code);
  if (known.length > 0) return known;
  const { alerts } = output;
  const said = typeof alerts === "string" ? [alerts] : (alerts ?? []).map((alert) => alert?.code);
  const notFound = said.find((text) => text?.includes("NOTFOUND"))?.split(" ", 1)[0];
  throw failureOf(results[0]?.error?.code ?? notFound);
}

/** By how FedEx's error codes end or what they name: an error in the place of a parcel is about that number, unless it speaks of FedEx itself. */
const NUMBER_ERRORS: readonly (readonly [RegExp, LookupFailure])[] = [
  [/NOTFOUND$|INVALID/, "not_found"],
  [/INTERNAL|UNAVAILABLE|UNEXPECTED/, "unavailable"],
];

function failureOf(code: string | undefined): LookupError {
  if (code === undefined)
    return new Malformed("NOT_ANSWERED", "FedEx's answer leaves out a number that was asked for.");
  const [, outcome] = NUMBER_ERRORS.find(([pattern]) => pattern.test(code)) ?? [];
  return numberFailure({ name: "FedEx", outcomes: outcome ? { [code]: outcome } : {} }, code);
}

function shippedAt(result: FedexResult): CarrierTime | null {
  return (
    dateOf(result, "SHIP") ??
    dateOf(result, "ACTUAL_PICKUP") ??
    dateOf(result, "SHIPMENT_DATA_RECEIVED")
  );
}

function dateOf({ dateAndTimes }: FedexResult, wanted: string): CarrierTime | null {
  return timeOrDay(dateAndTimes.find(({ type }) => type === wanted)?.dateTime);
}

/** Midnight without an offset is how FedEx writes a day of which it knows no time. */
function timeOrDay(text: string | undefined): CarrierTime | null {
  const time = timeFromIso(text);
  if (time === null || time.timeZone !== null) return time;
  const [, day] = /^(.*)T00:00:00$/.exec(time.localTime ?? "") ?? [];
  return day === undefined ? time : { ...time, localTime: day, precision: "date" };
}

/**
 * The derived code decides. Two of them name a whole leg of the way, and the
 * scan's own type says more: "initiated" (IN), which the table lacks, and "in
 * transit", under which FedEx also files what is out for delivery.
 */
function stageOf(
  derived: string | undefined,
  own: string | undefined,
): { readonly code: string; readonly stage: Stage | undefined } {
  const saysMore =
    !derived || derived === "IN" || (derived === "IT" && REFINES_TRANSIT.has(stages[own ?? ""]));
  const code = (own && saysMore ? own : derived) || "none";
  return { code, stage: stages[code] };
}

/** Oldest first; FedEx sends the newest first. Without detailed scans a delivery stands in the status and its date only. */
function history(result: FedexResult): readonly Scan[] {
  const { latestStatusDetail: current, scanEvents } = result;
  const scans = oldestFirst(scanEvents.map((scan, i) => toScan(scan, i === 0 ? current : null)));
  const time = dateOf(result, "ACTUAL_DELIVERY");
  const { code, stage } = stageOf(current?.derivedCode, current?.code);
  const isTold = scans.some((scan) => scan.stage === "delivered");
  if (stage !== "delivered" || isTold || time === null) return scans;
  const description = current?.description || current?.statusByLocale;
  const { rawTime } = time;
  return [
    ...scans,
    { time, rawTime, rawCode: code, stage, description, ...placeOf(current?.scanLocation) },
  ];
}

/** `current` speaks of the newest scan only. */
function toScan(scan: FedexScan, current: FedexResult["latestStatusDetail"] | null): Scan {
  const { code, stage } = stageOf(scan.derivedStatusCode, scan.eventType);
  const { delayDetail: delay } = scan;
  const what = scan.eventDescription || scan.derivedStatus;
  const asksAction = current?.ancillaryDetails.some((detail) =>
    /^(?!no action).*\S/i.test(detail?.action || detail?.actionDescription || ""),
  );
  return {
    time: timeOrDay(scan.date),
    rawTime: scan.date ?? "",
    rawCode: code,
    stage,
    description: [what, scan.exceptionDescription].filter(Boolean).join(": "),
    ...placeOf(scan.scanLocation),
    reasonCode:
      scan.exceptionCode || (delay?.status === "DELAYED" ? delay.subType || delay.type : null),
    isActionRequired: stage === "exception" && asksAction === true,
    // One derived code for a whole leg: two scans of one minute differ in their type.
    distinction: scan.eventType,
  };
}

function placeOf(place: FedexScan["scanLocation"]): Pick<Scan, "location" | "countryCode"> {
  const { city, stateOrProvinceCode, countryCode } = place ?? {};
  return {
    location: [city, stateOrProvinceCode, countryCode].filter(Boolean).join(", "),
    countryCode,
  };
}

/** FedEx fills `returnDetail` for parcels that are returns; empty texts in it say nothing. */
function isReturn({ returnDetail }: FedexResult, scans: readonly Scan[]): boolean {
  const reasons = returnDetail?.reasonDetail.flatMap((r) => [r?.type, r?.description]) ?? [];
  return (
    [returnDetail?.authorizationName, ...reasons].some(Boolean) ||
    scans.some(({ stage }) => stage === "return_to_sender")
  );
}

/** The window goes before the estimated day, and that before the day FedEx committed itself to. Midnight means the day, with or without an offset. */
function estimateOf(result: FedexResult): DeliveryEstimate | null {
  const { begins, ends } = result.estimatedDeliveryTimeWindow?.window ?? {};
  const day = dateOf(result, "ESTIMATED_DELIVERY") ?? dateOf(result, "COMMITMENT");
  const first = timeFromIso(begins) ?? timeFromIso(ends) ?? day;
  const last = timeFromIso(ends) ?? first;
  if (!first?.localTime || !last?.localTime) return null;
  const [from, until] = [first.localTime, last.localTime];
  const isTimed = [from, until].every((text) => /T(?!00:00:00)/.test(text));
  return isTimed
    ? { from, until, timeZone: first.timeZone ?? last.timeZone, precision: "second" }
    : { from: from.slice(0, 10), until: until.slice(0, 10), timeZone: null, precision: "date" };
}
