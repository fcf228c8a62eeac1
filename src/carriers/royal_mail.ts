import { z } from "zod";
import type { CarrierAdapter, DeliveryEstimate, Stage } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan, unlisted } from "./eventsFromScans.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";

/** Royal Mail's event codes. Its specification names one (EVNMI); the others were collected by users of the API. */
const stageByCode = stageTable({
  pre_transit: "EVAIE EVAIP",
  in_transit: "EVBAH EVDAC EVDAV EVIAV EVIMC EVIPI EVGMI EVNMI",
  out_for_delivery: "EVGPD",
  available_for_pickup: "EVKLC",
  delivered: "EVKSP EVKOP EVKSF EVKDN EVNOC EVPLC",
  exception: "EVNRT EVNKS EVKAA EVNAA EVKNA EVNDA EVNDN EVNAR EVKSU",
  return_to_sender: "EVKAI EVKGA EVNGA EVKRF EVNRF EVRTS",
  // Requests that were taken: a safe place, another day, a neighbour.
  no_change: "ASRXS RFRXS RNRXS RORXS RPRXS RSRXS",
});

/** `statusCategory`, read only where the last event's code tells no stage. "DELIVERED" is not in the specification. */
const stageByCategory = stageTable({ in_transit: "IN_TRANSIT", delivered: "DELIVERED" });

const event = z.object({
  eventCode: looseText,
  eventName: looseText,
  eventDateTime: looseText,
  locationName: looseText,
});

const mailPiece = z.object({
  mailPieceId: looseText,
  summary: looseObject({
    uniqueItemId: looseText,
    oneDBarcode: looseText,
    lastEventCode: looseText,
    lastEventName: looseText,
    lastEventDateTime: looseText,
    lastEventLocationName: looseText,
    statusDescription: looseText,
    statusCategory: looseText,
  }),
  signature: looseObject({ recipientName: looseText }),
  estimatedDelivery: looseObject({
    date: looseText,
    startOfEstimatedWindow: looseText,
    endOfEstimatedWindow: looseText,
  }),
  events: looseList(event),
});

const reply = z.object({ mailPieces: mailPiece });

type MailPiece = z.output<typeof mailPiece>;
type Event = z.output<typeof event>;

/** Beside a mail piece only `errors` is a refusal: a footer may just miss the proof of delivery. */
const errors = looseList(z.object({ errorCode: looseText }));
const errorBody = z.object({
  mailPieces: z.unknown().optional(),
  errors,
  integrationFooter: looseObject({ errors }),
});

/**
 * Royal Mail Tracking v2, for account customers. One number a call: there is a
 * summary of up to 30 numbers, but it knows only the last event, neither history
 * nor signature nor window, so that every scan between two looks would be lost
 * and a parcel's status would hang on its last code alone.
 */
export const royal_mail: CarrierAdapter<z.output<typeof reply>> = {
  code: "royal_mail",
  name: "Royal Mail",
  baseUrl: "https://api.royalmail.net/mailpieces/v2",
  credentials: {
    CLIENT_ID: "the client id of your app at developer.royalmail.net",
    CLIENT_SECRET: "the client secret of that app",
  },
  authentication: {
    kind: "header",
    headers: ({ CLIENT_ID, CLIENT_SECRET }) => ({
      "X-IBM-Client-Id": CLIENT_ID?.reveal() ?? "",
      "X-IBM-Client-Secret": CLIENT_SECRET?.reveal() ?? "",
    }),
  },
  request: ([subject]) => ({
    method: "GET",
    path: `/${encodeURIComponent(subject?.trackingNumber ?? "")}/events`,
    headers: { "X-Accept-RMG-Terms": "yes" },
  }),
  reply,
  stages: { ...stageByCode, ...stageByCategory },
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    const footer = data?.mailPieces === undefined ? data?.integrationFooter?.errors : undefined;
    const [error] = [...(data?.errors ?? []), ...(footer ?? [])];
    return error === undefined ? null : (error.errorCode ?? "none");
  },
  // The code tells more than the HTTP status: E1142 has been seen with 400 and with 404.
  outcomes: {
    E1142: "not_found",
    E1283: "not_found",
    E1284: "not_found",
    // Royal Mail does not track this product, or has no proof of its delivery (yet): true of one number.
    E1144: "not_found",
    E1145: "not_found",
    E1308: "not_found",
    E0004: "rejected",
    E0013: "rejected",
    E0016: "rejected",
    E0010: "rate_limited",
    E0001: "unavailable",
    E0009: "unavailable",
    E1307: "unavailable",
  },
  parse({ mailPieces }, { trackingNumber }) {
    const { chosen: piece, warnings } = chooseByNumber([mailPieces], trackingNumber, numbersOf);
    const { summary, signature } = piece;
    const scans = oldestFirst(history(piece).map(toScan));
    const read = eventsFromScans(scans);
    const current = stageOf(summary);
    const stage = read.events.findLast(({ status }) => status !== null)?.status ?? current.stage;
    return {
      status: current.stage,
      rawStatus: cleanText(summary?.lastEventCode),
      rawText: cleanText(summary?.lastEventName ?? summary?.statusDescription),
      // What is scanned after the turn, a delivery too, is the return.
      isReturn: scans.some((scan) => scan.stage === "return_to_sender"),
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(piece),
      signedBy: cleanText(signature?.recipientName),
      // The page it names is the post office's, not the parcel's.
      trackingUrl: null,
      warnings: [...warnings, ...read.warnings, ...current.warnings],
    };
  },
};

function numbersOf({ mailPieceId, summary }: MailPiece): (string | undefined)[] {
  return [mailPieceId, summary?.oneDBarcode, summary?.uniqueItemId];
}

/** Newest first. The last event is told in the summary too, and by it alone where the list lacks it. */
function history({ summary, events }: MailPiece): readonly Event[] {
  const last: Event = {
    eventCode: summary?.lastEventCode,
    eventName: summary?.lastEventName,
    eventDateTime: summary?.lastEventDateTime,
    locationName: summary?.lastEventLocationName,
  };
  const isListed =
    !last.eventDateTime ||
    events.some((e) => e.eventDateTime === last.eventDateTime && e.eventCode === last.eventCode);
  return isListed ? events : [last, ...events];
}

function toScan({ eventCode, eventName, eventDateTime, locationName }: Event): Scan {
  return {
    time: timeFromIso(eventDateTime),
    rawTime: eventDateTime ?? "",
    rawCode: eventCode ?? "none",
    stage: stageByCode[eventCode?.trim() ?? ""],
    description: eventName,
    location: locationName,
  };
}

function stageOf(summary: MailPiece["summary"]): {
  readonly stage: Exclude<Stage, "no_change"> | null;
  readonly warnings: readonly string[];
} {
  const code = cleanText(summary?.lastEventCode);
  const listed = stageByCode[code ?? ""];
  if (listed !== undefined && listed !== "no_change") return { stage: listed, warnings: [] };
  const category = summary?.statusCategory?.trim().toUpperCase().replaceAll(/\s+/g, "_") ?? "";
  const stage = stageByCategory[category];
  if (stage === undefined || stage === "no_change")
    return { stage: null, warnings: code && listed === undefined ? [unlisted(code)] : [] };
  // "DELIVERED" needs a person's eye even beside a listed code.
  const isDoubtful = listed === undefined || stage === "delivered";
  return {
    stage,
    warnings: isDoubtful
      ? [`last event ${code ?? "without a code"}: its category ${category} was read instead`]
      : [],
  };
}

/** A day, or its hours where both are told; their offset is the place's. */
function estimateOf({ estimatedDelivery }: MailPiece): DeliveryEstimate | null {
  const { date, startOfEstimatedWindow, endOfEstimatedWindow } = estimatedDelivery ?? {};
  const hours =
    startOfEstimatedWindow && endOfEstimatedWindow
      ? estimateFromIso(`${date}T${startOfEstimatedWindow}`, `${date}T${endOfEstimatedWindow}`)
      : null;
  return hours ?? estimateFromIso(date, undefined);
}
