import { z } from "zod";
import type { CarrierAdapter } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { httpsUrl } from "./httpsUrl.ts";
import { looseFlag, looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";

/** ET1 is read as "out for delivery" in places; it is any processing on the way. */
const stages = stageTable({
  pre_transit: "DR1",
  in_transit: "PC1 PC2 ET1 ET2 ET3 ET4 EP1 DO1 DO2 PB2",
  out_for_delivery: "MD2",
  available_for_pickup: "AG1",
  delivered: "DI1 DI0 DI3",
  exception: "DR2 DO3 PB1 ND1",
  return_to_sender: "RE1 DI2",
  unknown: "ID0",
});

/** Seen in use, in no document: what they mean is inferred from their names, and a delivery that rests on them is said aloud. */
const INFERRED_DELIVERIES: ReadonlySet<string> = new Set(["DI0", "DI3"]);

/** Returned, and delivered to the sender: what is scanned after that is on its way back. */
const GOING_BACK: ReadonlySet<string> = new Set(["RE1", "DI2"]);

/** Held at customs: papers or money are asked of the recipient. Our reading of the label. */
const ACTION_REQUIRED: ReadonlySet<string> = new Set(["DO3"]);

const event = z.object({ order: looseText, code: looseText, label: looseText, date: looseText });

const shipment = z.object({
  idShip: looseText,
  isFinal: looseFlag,
  estimDate: looseText,
  url: looseText,
  event: looseList(event),
});

const reply = z.object({ shipment });

type Event = z.output<typeof event>;

/** La Poste's own errors say `returnCode`, those of the gateway before it `code`. */
const errorBody = looseObject({ returnCode: looseText, code: looseText });

/**
 * La Poste Suivi v2: letters, Colissimo and Chronopost. One number a call: a
 * comma list is taken too, but neither its length nor the form of its answer is
 * documented where we could read it. The address of the person who asks
 * (X-Forwarded-For) is wished for and not sent: nobody may be asking, and it is
 * personal.
 */
export const la_poste: CarrierAdapter<z.output<typeof reply>> = {
  code: "la_poste",
  name: "La Poste",
  baseUrl: "https://api.laposte.fr/suivi/v2",
  credentials: { API_KEY: "the Okapi key of your app at developer.laposte.fr" },
  authentication: {
    kind: "header",
    headers: ({ API_KEY }) => ({ "X-Okapi-Key": API_KEY?.reveal() ?? "" }),
  },
  request: ([subject]) => ({
    method: "GET",
    path: `/idships/${encodeURIComponent(subject?.trackingNumber ?? "")}?lang=en_GB`,
  }),
  reply,
  stages,
  errorCode(body) {
    const { returnCode, code } = errorBody.safeParse(body).data ?? {};
    return returnCode === "200" ? null : (returnCode ?? code ?? null);
  },
  outcomes: {
    // "Unknown, enter it again in the right form": the number is all that varies in our request.
    "400": "not_found",
    "401": "rejected",
    "404": "not_found",
    "429": "rate_limited",
    TOO_MANY_REQUESTS: "rate_limited",
  },
  parse(reply, { trackingNumber }) {
    const { chosen, warnings } = chooseByNumber([reply.shipment], trackingNumber, (s) => [
      s.idShip,
    ]);
    const scans = inOrder(chosen.event);
    const read = eventsFromScans(scans);
    const newest = scans.at(-1);
    const stage = stages[newest?.rawCode ?? ""];
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(newest?.rawCode),
      rawText: cleanText(newest?.description),
      isReturn: scans.some(({ rawCode }) => GOING_BACK.has(rawCode)),
      events: read.events,
      estimate: stage === "delivered" ? null : estimateFromIso(chosen.estimDate, null),
      // Suivi names no signer.
      signedBy: null,
      trackingUrl: httpsUrl(chosen.url),
      warnings: [
        ...warnings,
        ...read.warnings,
        ...(chosen.isFinal && stage !== "delivered" && stage !== "return_to_sender"
          ? [`La Poste calls the history final at "${cleanText(newest?.rawCode) ?? "nothing"}"`]
          : []),
      ],
    };
  },
};

/** `order` counts up to the newest; without it the list is newest first. */
function inOrder(events: readonly Event[]): readonly Scan[] {
  const orderOf = ({ order }: Event) => (order?.trim() ? Number(order) : Number.NaN);
  if (!events.every((event) => Number.isFinite(orderOf(event))))
    return oldestFirst(events.map(toScan));
  return events.toSorted((a, b) => orderOf(a) - orderOf(b)).map(toScan);
}

function toScan({ code, label, date }: Event): Scan {
  const rawCode = code?.trim() || "none";
  return {
    time: timeFromIso(date),
    rawTime: date ?? "",
    rawCode,
    stage: stages[rawCode],
    description: label,
    isActionRequired: ACTION_REQUIRED.has(rawCode),
    warning: INFERRED_DELIVERIES.has(rawCode)
      ? `status code "${rawCode}" is read as delivered, which no document confirms`
      : null,
  };
}
