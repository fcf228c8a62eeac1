import { z } from "zod";
import { type LookupFailure, Malformed, NotFound } from "../errors.ts";
import { aggregatorToken } from "./aggregatorToken.ts";
import type { CarrierAdapter, CarrierTime, LookupSubject } from "./carrier.ts";
import { sortTime, timeFromIso } from "./carrierTime.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { NotRegistered } from "./notRegistered.ts";
import { numberFailure } from "./numberFailure.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";
import { normalizeTrackingNumber } from "./trackingNumber.ts";

/** The nine main statuses of 17TRACK, and the two substatuses (returning, returned) that mean more than their Exception. */
const stages = stageTable({
  unknown: "NotFound Expired",
  pre_transit: "InfoReceived",
  in_transit: "InTransit",
  out_for_delivery: "OutForDelivery",
  available_for_pickup: "AvailableForPickup",
  delivered: "Delivered",
  exception: "DeliveryFailure Exception",
  return_to_sender: "Exception_Returning Exception_Returned",
});

/**
 * Our carrier code → 17TRACK's number, from other people's copies of its list;
 * parcelforce and postnl stand in none of them and are not verified. Of the
 * DHLs only Express (DHL Paket has a number of its own).
 */
const CARRIER_KEYS: ReadonlyMap<string, number> = new Map([
  ["ups", 100002],
  ["usps", 21051],
  ["fedex", 100003],
  ["dhl", 100001],
  ["royal_mail", 11031],
  ["parcelforce", 11033],
  ["canada_post", 3041],
  ["australia_post", 1151],
  ["la_poste", 6051],
  ["postnl", 14041],
]);

/** Customs wants something, and an address is wrong. Our reading of 17TRACK's names. */
const ACTION_REQUIRED: ReadonlySet<string> = new Set([
  "InTransit_CustomsRequiringInformation",
  "DeliveryFailure_InvalidAddress",
]);

/** 17TRACK's error codes; they stand in the envelope, or beside each number that was turned away. */
const outcomes: Readonly<Record<string, LookupFailure>> = {
  // IP address, key, account, permission.
  "-18010001": "rejected",
  "-18010002": "rejected",
  "-18010004": "rejected",
  "-18010005": "rejected",
  "-18010003": "unavailable",
  // Something we sent is missing, wrong or too much, or the carrier needs more than a number.
  "-18010010": "rejected",
  "-18010011": "rejected",
  "-18010012": "rejected",
  "-18010013": "rejected",
  "-18010014": "rejected",
  "-18010018": "rejected",
  "-18010019": "rejected",
  "-18010020": "rejected",
  "-18010204": "rejected",
  // Registered already, perhaps by another of our processes: as good as registered now.
  "-18019901": "not_found",
  "-18019902": "not_found",
  "-18019903": "rejected",
  "-18019910": "rejected",
  // The day's limit of requests, and the bought allowance of registrations.
  "-18019907": "out_of_quota",
  "-18019908": "out_of_quota",
  "-18019909": "not_found",
};

const NOT_REGISTERED = "-18019902";

const event = z.object({
  time_iso: looseText,
  time_utc: looseText,
  description: looseText,
  location: looseText,
  sub_status: looseText,
  address: looseObject({ country: looseText, state: looseText, city: looseText }),
});

const accepted = z.object({
  number: z.string(),
  carrier: looseText,
  track_info: looseObject({
    latest_status: looseObject({ status: looseText, sub_status: looseText }),
    latest_event: looseObject({ description: looseText }),
    time_metrics: looseObject({
      estimated_delivery_date: looseObject({ from: looseText, to: looseText }),
    }),
    tracking: looseObject({ providers: looseList(z.object({ events: looseList(event) })) }),
  }),
});

const rejected = z.object({
  number: looseText,
  carrier: looseText,
  error: z.object({ code: z.number() }),
});

const reply = z.object({
  data: z.object({ accepted: looseList(accepted), rejected: looseList(rejected) }),
});

type Reply = z.output<typeof reply>;
type Accepted = z.output<typeof accepted>;
type Event = z.output<typeof event>;

const envelope = z.object({
  code: z.number(),
  data: looseObject({
    accepted: looseList(z.unknown()),
    rejected: looseList(z.object({ error: z.object({ code: z.number() }) })),
    errors: looseList(z.object({ code: z.number() })),
  }).catch(undefined),
});

function keyOf({ carrierCode }: LookupSubject): number {
  return aggregatorToken(CARRIER_KEYS, carrierCode, "17TRACK");
}

/** 17TRACK v2.2, an aggregator that must be told of a parcel first, at the price of one from the allowance. */
export const seventeen_track: CarrierAdapter<Reply> = {
  code: "seventeen_track",
  name: "17TRACK",
  baseUrl: "https://api.17track.net/track/v2.2",
  credentials: { API_KEY: "the access key of your account at api.17track.net" },
  authentication: {
    kind: "header",
    headers: ({ API_KEY }) => ({ "17token": API_KEY?.reveal() ?? "" }),
  },
  batchSize: 40,
  request(subjects) {
    // One parcel of a carrier unknown to 17TRACK must not cost the others their answer: parse refuses it.
    const asked = subjects.filter(({ carrierCode }) => CARRIER_KEYS.has(carrierCode));
    return post("/gettrackinfo", asked.length > 0 ? asked : subjects);
  },
  register: (subject) => post("/register", [subject]),
  reply,
  stages,
  // A reason that turned away every number is the whole answer's; only "not registered" is for parse to tell.
  errorCode(body) {
    const { code = 0, data } = envelope.safeParse(body).data ?? {};
    const whole = code !== 0 ? code : data?.errors[0]?.code;
    if (whole !== undefined) return String(whole);
    if (data === undefined || data.accepted.length > 0) return null;
    const [reason, ...others] = new Set(data.rejected.map(({ error }) => String(error.code)));
    return others.length > 0 || reason === undefined || reason === NOT_REGISTERED ? null : reason;
  },
  outcomes,
  parse(reply, subject) {
    const { found, warnings } = find(reply, subject);
    const info = found.track_info;
    const latest = info?.latest_status;
    const scans = (info?.tracking?.providers ?? [])
      .flatMap(({ events }) => oldestFirst(events.map(toScan)))
      // Each carrier on the way tells its own part; one list of them all.
      .toSorted((a, b) => placeOf(a) - placeOf(b));
    const rawStatus = latest === undefined ? null : rawCode(latest.sub_status ?? latest.status);
    const stage = stages[rawStatus ?? ""];
    if (scans.length === 0 && (stage === undefined || stage === "unknown"))
      throw new NotFound("NO_EVENT", "17TRACK has found nothing about this number (yet).");
    const read = eventsFromScans(scans);
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(rawStatus),
      rawText: cleanText(info?.latest_event?.description),
      isReturn: [stage, ...scans.map((scan) => scan.stage)].includes("return_to_sender"),
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(info?.time_metrics),
      signedBy: null,
      trackingUrl: null,
      warnings: [...warnings, ...read.warnings],
    };
  },
};

function post(path: string, subjects: readonly LookupSubject[]) {
  const items = subjects.map((subject) => ({
    number: subject.trackingNumber,
    carrier: keyOf(subject),
  }));
  return {
    method: "POST",
    path,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(items),
  } as const;
}

/** The one entry that is about the subject, or why there is none. Never another number's: forty are asked at once. */
function find({ data }: Reply, subject: LookupSubject): { found: Accepted; warnings: string[] } {
  const key = String(keyOf(subject));
  const isAsked = ({ number = "" }: { number?: string | undefined }) =>
    normalizeTrackingNumber(number) === subject.trackingNumber;
  const matching = data.accepted.filter(isAsked);
  const exact = matching.find(({ carrier }) => carrier === key);
  if (exact !== undefined) return { found: exact, warnings: [] };
  const refusal = data.rejected.find(
    (entry) => isAsked(entry) && (entry.carrier === undefined || entry.carrier === key),
  );
  const code = String(refusal?.error.code ?? "");
  if (code === NOT_REGISTERED) throw new NotRegistered();
  if (refusal !== undefined) throw numberFailure(seventeen_track, code);
  const [only, ...others] = matching;
  if (only === undefined || others.length > 0)
    throw new Malformed("NO_ENTRY", "17TRACK's answer says nothing of this number.");
  return { found: only, warnings: ["17TRACK follows this number at another carrier"] };
}

/** A substatus is its main status and a detail; only the two returns have a meaning of their own. */
function rawCode(text: string | undefined): string {
  const [main] = text?.split("_") ?? [];
  return text !== undefined && text in stages ? text : (main ?? "none");
}

function placeOf({ time }: Scan): number {
  return time === null ? 0 : sortTime(time);
}

function toScan(event: Event): Scan {
  const { time_iso, time_utc, description, location, sub_status, address } = event;
  const code = rawCode(sub_status);
  const stage = sub_status === undefined ? "no_change" : stages[code];
  const isActionRequired = ACTION_REQUIRED.has(sub_status ?? "");
  const hasReason = stage === "exception" || stage === "return_to_sender" || isActionRequired;
  return {
    time: timeOf(event),
    rawTime: time_iso ?? time_utc ?? "",
    rawCode: code,
    stage,
    description,
    location:
      location || [address?.city, address?.state, address?.country].filter(Boolean).join(", "),
    countryCode: address?.country,
    reasonCode: hasReason ? sub_status : null,
    isActionRequired,
    distinction: description,
  };
}

/** The instant from the time in UTC, the wall clock and its zone from the one with an offset. */
function timeOf({ time_iso, time_utc }: Event): CarrierTime | null {
  const there = timeFromIso(time_iso);
  const utc = timeFromIso(time_utc);
  const occurredAt = utc?.occurredAt ?? there?.occurredAt ?? null;
  if (there === null) return utc === null ? null : { ...utc, localTime: null };
  return { ...there, occurredAt, precision: occurredAt === null ? there.precision : "second" };
}

type Metrics = NonNullable<Accepted["track_info"]>["time_metrics"];

function estimateOf(metrics: Metrics) {
  const { from, to } = metrics?.estimated_delivery_date ?? {};
  return estimateFromIso(from, to);
}
