import { z } from "zod";
import { canadianTime, rawCanadianTime } from "./canadianTime.ts";
import type { CarrierAdapter, Stage } from "./carrier.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { xmlList, xmlObject, xmlText } from "./looseXml.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";

/** `event-identifier` as a number: Canada Post pads some with zeros (0174). Grouped by users of the API; it publishes no stages. */
const stages = stageTable({
  in_transit: "100 101 102 103 104 105 106 107 170 1400 1401 1402 1403 1404 1405 1703",
  out_for_delivery: "174 500",
  available_for_pickup: "118 156 1407 1410 1435 1436 1437 1438 1479 1488 1701 2410",
  delivered:
    "1408 1409 1421 1422 1423 1424 1425 1426 1427 1428 1429 1430 1431 1432 1433 1434 1441 1442 " +
    "1496 1497 1498 1499",
  exception:
    "117 120 121 125 127 150 154 159 160 161 162 163 167 168 169 172 173 179 181 182 183 184 190 " +
    "810 1100 1411 1414 1415 1416 1417 1418 1419 1420 1443 1450 1481 1482 1483 1484 1487 1491 " +
    "1492 1493 1494 2411 2412 2414 2600 2802 3001 4650 4700",
  // A signature image was recorded.
  no_change: "20",
});

const occurrence = z.object({
  "event-identifier": xmlText,
  "event-date": xmlText,
  "event-time": xmlText,
  "event-time-zone": xmlText,
  "event-description": xmlText,
  "signatory-name": xmlText,
  "event-site": xmlText,
  "event-province": xmlText,
});

const detail = z.object({
  pin: xmlText,
  "original-pin": xmlText,
  "expected-delivery-date": xmlText,
  "changed-expected-date": xmlText,
  "significant-events": xmlObject({ occurrence: xmlList(occurrence) }),
});

const reply = z.object({ "tracking-detail": detail });

type Occurrence = z.output<typeof occurrence>;

const errorBody = z.object({
  messages: z.object({
    message: xmlList(z.object({ code: xmlText, description: xmlText })),
  }),
});

/** Canada Post's tracking service, XML over REST. One number a call; texts in English, which a return is read from. */
export const canada_post: CarrierAdapter<z.output<typeof reply>> = {
  code: "canada_post",
  name: "Canada Post",
  baseUrl: "https://soa-gw.canadapost.ca",
  credentials: {
    API_USER: "the user part of your production API key at canadapost.ca",
    API_PASSWORD: "the password part of that key",
  },
  authentication: {
    kind: "header",
    headers: ({ API_USER, API_PASSWORD }) => ({
      authorization: `Basic ${Buffer.from(`${API_USER?.reveal()}:${API_PASSWORD?.reveal()}`).toString("base64")}`,
    }),
  },
  format: "xml",
  // NOTE: not tried with a key. Canada Post's page for developers writes `/detail` and `application/vnd.cpc.track-v2+xml`.
  request: ([subject]) => ({
    method: "GET",
    path: `/vis/track/pin/${encodeURIComponent(subject?.trackingNumber ?? "")}/details`,
    headers: { accept: "application/vnd.cpc.track+xml", "accept-language": "en-CA" },
  }),
  reply,
  stages,
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    if (data === undefined) return null;
    const [error] = data.messages.message;
    // Its throttle has no code of its own, only this text under "Server".
    if (/\bSLM\b/.test(error?.description ?? "")) return "SLM";
    return error?.code ?? "none";
  },
  // 004: no history under this number. E002: wrong key. SLM: blocked for up to a minute.
  outcomes: { "004": "not_found", E002: "rejected", SLM: "rate_limited" },
  parse(reply, { trackingNumber }) {
    const { chosen, warnings } = chooseByNumber(
      [reply["tracking-detail"]],
      trackingNumber,
      (detail) => [detail.pin, detail["original-pin"]],
    );
    const newestFirst = chosen["significant-events"]?.occurrence ?? [];
    const scans = oldestFirst(newestFirst.map(toScan));
    const read = eventsFromScans(scans);
    const newest = scans.at(-1);
    const stage = read.events.findLast(({ status }) => status !== null)?.status ?? null;
    return {
      // The service tells no status beside its scans.
      status: stage,
      rawStatus: cleanText(newest?.rawCode),
      rawText: cleanText(newest?.description),
      // What is scanned after the turn, a delivery too, is the return.
      isReturn: scans.some((scan) => scan.stage === "return_to_sender"),
      events: read.events,
      // A day, without a zone. The changed date goes before the first one.
      estimate:
        stage === "delivered"
          ? null
          : (estimateFromIso(chosen["changed-expected-date"], undefined) ??
            estimateFromIso(chosen["expected-delivery-date"], undefined)),
      signedBy: cleanText(newestFirst.find((scan) => scan["signatory-name"])?.["signatory-name"]),
      trackingUrl: null,
      warnings: [...warnings, ...read.warnings],
    };
  },
};

function toScan(scan: Occurrence): Scan {
  const parts = {
    date: scan["event-date"],
    time: scan["event-time"],
    zone: scan["event-time-zone"],
  };
  return {
    time: canadianTime(parts),
    rawTime: rawCanadianTime(parts),
    rawCode: scan["event-identifier"] ?? "none",
    stage: stageOf(scan),
    description: scan["event-description"],
    location: [scan["event-site"], scan["event-province"]].filter(Boolean).join(", "),
  };
}

function stageOf(scan: Occurrence): Stage | undefined {
  const listed = stages[scan["event-identifier"]?.trim().replace(/^0+(?=\d)/, "") ?? ""];
  return listed === "exception" && saysReturned(scan["event-description"] ?? "")
    ? "return_to_sender"
    : listed;
}

/**
 * Several of the exception codes mean that the item goes back, and no list says
 * which: only there the text decides. A part of it has to say that the return
 * is under way or done; "will be returned to sender if not collected" is a
 * warning to the recipient.
 */
function saysReturned(description: string): boolean {
  return description
    .split(/[;,.]/)
    .some((part) => RETURNED.test(part) && !ONLY_POSSIBLE.test(part));
}

const RETURNED = /\breturn(?:ed|ing)?\b.*\bto (?:the )?sender\b/i;
const ONLY_POSSIBLE =
  /\b(?:will|would|may|might|can|cannot|could|shall|should|if|unless|until|not|avoid|requested)\b/i;
