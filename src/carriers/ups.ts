import { randomUUID } from "node:crypto";
import { z } from "zod";
import { Malformed } from "../errors.ts";
import type { CarrierAdapter, DeliveryEstimate, Stage } from "./carrier.ts";
import { compactDate, compactTime, timeFromParts } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { eventsFromScans, type Scan, unlisted } from "./eventsFromScans.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";

/** UPS's three-digit `statusCode`, from the appendix of its Tracking API. */
const stages = stageTable({
  pre_transit: "003 044 045 065 077 079 080 131 135 157 166",
  in_transit:
    "005 010 012 014 016 018 019 020 025 027 028 038 039 041 042 047 054 055 056 057 063 070 071 " +
    "073 074 075 082 084 087 092 093 094 095 096 097 098 099 100 101 102 103 104 105 106 107 108 " +
    "109 110 111 112 113 115 116 117 120 121 122 123 126 133 134 136 137 138 156 158 159 160 164 " +
    "165 167 168 169",
  out_for_delivery: "006 021 037 072 078 089 091 146 162",
  available_for_pickup: "017 040 144 161",
  delivered: "011 026 143",
  exception:
    "013 022 023 024 029 030 032 046 048 049 050 051 052 053 058 059 060 061 062 064 066 068 069 " +
    "076 083 085 086 090 124 125 129 130 132 139 140 141 142 145 147 149",
  return_to_sender: "033 034 035 036 067 081 118 119",
  cancelled: "007 043",
  // Dates moved, photos taken, tests, "not available": UPS lists them, and they tell no stage.
  unknown: "000 088 114 127 128 148 153 154 155 163",
});

/** `type`, read only where the status code is absent or not listed. D is missing on purpose: see `stageOf`. */
const stageByType = stageTable({
  pre_transit: "M",
  in_transit: "I DO W",
  delivered: "DD",
  exception: "X",
  cancelled: "MV",
  no_change: "U",
  unknown: "NA",
});

/** Codes whose label asks something of the recipient: an address, papers, money. Our reading of the labels. */
const ACTION_REQUIRED = new Set("029 049 050 058 062 085 124 125".split(" "));

const status = looseObject({
  type: looseText,
  code: looseText,
  statusCode: looseText,
  description: looseText,
  simplifiedTextDescription: looseText,
});

const activity = z.object({
  date: looseText,
  time: looseText,
  gmtDate: looseText,
  gmtTime: looseText,
  gmtOffset: looseText,
  status,
  location: looseObject({
    address: looseObject({
      city: looseText,
      stateProvince: looseText,
      countryCode: looseText,
      country: looseText,
    }),
  }),
});

const parcel = z.object({
  trackingNumber: looseText,
  currentStatus: status,
  activity: looseList(activity),
  deliveryDate: looseList(z.object({ type: looseText, date: looseText })),
  deliveryTime: looseObject({ type: looseText, startTime: looseText, endTime: looseText }),
  deliveryInformation: looseObject({ receivedBy: looseText }),
});

const reply = z.object({
  trackResponse: z.object({
    shipment: looseList(z.object({ package: looseList(parcel) })),
  }),
});

type Parcel = z.output<typeof parcel>;
type Activity = z.output<typeof activity>;
type Status = z.output<typeof status>;

/** Where UPS puts its error codes: in an error reply, and as a warning where it has no package to show. */
const errorBody = z.object({
  response: looseObject({ errors: looseList(z.object({ code: looseText })) }),
  trackResponse: looseObject({
    shipment: looseList(
      z.object({
        package: looseList(z.unknown()),
        warnings: looseList(z.object({ code: looseText })),
      }),
    ),
  }),
});

/** UPS Track API v1. One number a call; texts in US English, which no status is ever read from. */
export const ups: CarrierAdapter<z.output<typeof reply>> = {
  code: "ups",
  name: "UPS",
  baseUrl: "https://onlinetools.ups.com/api",
  credentials: {
    CLIENT_ID: "the client id of your app at developer.ups.com",
    CLIENT_SECRET: "the client secret of that app",
  },
  authentication: {
    kind: "oauth2",
    tokenRequest: ({ CLIENT_ID, CLIENT_SECRET }) => ({
      method: "POST",
      path: "/security/v1/oauth/token",
      headers: {
        authorization: `Basic ${Buffer.from(`${CLIENT_ID?.reveal()}:${CLIENT_SECRET?.reveal()}`).toString("base64")}`,
        "content-type": "application/x-www-form-urlencoded",
      },
      body: "grant_type=client_credentials",
    }),
  },
  request: ([subject]) => ({
    method: "GET",
    // Signature images stay at UPS: nobody here needs them, and they are personal.
    path: `/track/v1/details/${encodeURIComponent(subject?.trackingNumber ?? "")}?locale=en_US&returnSignature=false`,
    headers: { transId: randomUUID(), transactionSrc: "bookpost" },
  }),
  reply,
  stages,
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    const error = data?.response?.errors[0];
    if (error !== undefined) return error.code ?? "none";
    const shipments = data?.trackResponse?.shipment ?? [];
    if (shipments.some((shipment) => shipment.package.length > 0)) return null;
    return shipments.flatMap(({ warnings }) => warnings)[0]?.code ?? null;
  },
  // TW0001 comes with a 200; 10429 is the throttle whatever the HTTP status.
  outcomes: { TW0001: "not_found", "10429": "rate_limited" },
  parse({ trackResponse }, { trackingNumber }) {
    const parcels = trackResponse.shipment.flatMap((shipment) => shipment.package);
    if (parcels.length === 0)
      throw new Malformed("NO_PACKAGE", "UPS answered without a package and without a warning.");
    const choice = chooseByNumber(parcels, trackingNumber, (p) => [p.trackingNumber]);
    const { activity, currentStatus, deliveryInformation } = choice.chosen;
    const scans = oldestFirst(activity.map((scan) => toScan(scan, choice.chosen)));
    const read = eventsFromScans(scans);
    const current = stageOf(currentStatus, choice.chosen);
    return {
      status: current === undefined || current === "no_change" ? null : current,
      rawStatus: currentStatus === undefined ? null : cleanText(rawCode(currentStatus)),
      rawText: cleanText(currentStatus?.description ?? currentStatus?.simplifiedTextDescription),
      isReturn: isGoingBack(scans),
      events: read.events,
      estimate: estimateOf(choice.chosen),
      signedBy: cleanText(deliveryInformation?.receivedBy),
      trackingUrl: null,
      warnings: [...choice.warnings, ...read.warnings],
    };
  },
};

function toScan(activity: Activity, parcel: Parcel): Scan {
  const { date, time, gmtDate, gmtTime, gmtOffset, status, location } = activity;
  const { city, stateProvince, countryCode, country } = location?.address ?? {};
  const local = words(date, time);
  const utc = words(gmtDate, gmtTime, gmtOffset);
  const code = statusCode(status);
  const stage = stageOf(status, parcel);
  return {
    time: timeFromParts(
      { date, time, utcDate: gmtDate, utcTime: gmtTime, offset: gmtOffset },
      utc ? `${local}; GMT ${utc}` : local,
    ),
    // UPS has added the GMT fields to scans later on: they are no part of a scan's identity.
    rawTime: local || utc,
    rawCode: rawCode(status),
    stage,
    description: status?.description,
    location: [city, stateProvince, countryCode ?? country].filter(Boolean).join(", "),
    countryCode: countryCode ?? country,
    reasonCode: stage === "exception" ? status?.code : null,
    isActionRequired: code !== undefined && ACTION_REQUIRED.has(code),
    warning:
      code !== undefined && stages[code] === undefined && stage !== undefined
        ? `${unlisted(code)}; its type ${status?.type} was read instead`
        : null,
  };
}

function words(...parts: readonly (string | undefined)[]): string {
  return parts.filter(Boolean).join(" ");
}

/** Three digits, and compared as a number: "11" and "011" are one code. */
function statusCode(status: Status): string | undefined {
  const digits = status?.statusCode?.trim();
  return digits ? digits.padStart(3, "0") : undefined;
}

function rawCode(status: Status): string {
  return statusCode(status) ?? ([status?.type, status?.code].filter(Boolean).join("/") || "none");
}

/** On its way back, or back: what UPS scans after that, a delivery too, is the return. */
const GOING_BACK = new Set("034 035 036 067 081 118".split(" "));

/** UPS has codes for a return and no flag; "deliver to original address confirmed" takes it back. */
function isGoingBack(scans: readonly Scan[]): boolean {
  const codes = scans.map((scan) => scan.rawCode);
  const turned = codes.findLastIndex((code) => GOING_BACK.has(code));
  return turned > codes.lastIndexOf("099");
}

/**
 * The status code decides, and only without a listed one the type. Type D means
 * "delivered" in one of UPS's documents and "loaded, out for delivery or
 * delivered" in another: alone it counts as delivered only where the parcel has
 * a delivery date.
 */
function stageOf(status: Status, parcel: Parcel): Stage | undefined {
  const listed = stages[statusCode(status) ?? ""];
  if (listed !== undefined) return listed;
  const type = status?.type?.trim().toUpperCase() ?? "";
  const hasDeliveryDate = parcel.deliveryDate.some((delivery) => delivery.type === "DEL");
  return type === "D" && hasDeliveryDate ? "delivered" : stageByType[type];
}

/** Deliveries' windows; a committed time or the end of the day is not one, and the date says enough. */
const WINDOWS = new Set(["EDW", "CDW", "IDW"]);

/** The rescheduled date goes before the scheduled one. UPS names no zone: wall time at the door. */
function estimateOf(parcel: Parcel): DeliveryEstimate | null {
  const dateOf = (type: string) =>
    compactDate(parcel.deliveryDate.find((delivery) => delivery.type === type)?.date);
  const date = dateOf("RDD") ?? dateOf("SDD");
  if (date === null || dateOf("DEL") !== null) return null;
  const { type, startTime, endTime } = parcel.deliveryTime ?? {};
  const [start, end] = [compactTime(startTime), compactTime(endTime)];
  if (!WINDOWS.has(type ?? "") || start === null || end === null)
    return { from: date, until: date, timeZone: null, precision: "date" };
  return { from: `${date}T${start}`, until: `${date}T${end}`, timeZone: null, precision: "second" };
}
