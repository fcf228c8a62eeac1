import { z } from "zod";
import { Malformed, NotFound } from "../errors.ts";
import type { CarrierAdapter, CarrierTime, DeliveryEstimate } from "./carrier.ts";
import { timeFromIso } from "./carrierTime.ts";
import { chooseByNumber } from "./chooseByNumber.ts";
import { cleanText } from "./cleanText.ts";
import { estimateFromIso } from "./estimateFromIso.ts";
import { eventsFromScans, type Scan } from "./eventsFromScans.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";
import { timeInZone } from "./timeInZone.ts";

/**
 * PostNL's StatusCode. Its phase 4, "delivered", holds 12 as well, which waits
 * at a pick-up point: phases are never read. No code says that a parcel goes
 * back to its sender; 99 stands for steps inside PostNL.
 */
const stages = stageTable({
  pre_transit: "1 13",
  in_transit: "2 3 5 9 20 21",
  out_for_delivery: "7",
  available_for_pickup: "12",
  delivered: "11 22 23",
  exception: "4 6 8 15 16 17 18 19",
  cancelled: "14",
  no_change: "99",
});

/** PostNL gives wall clocks without a zone; all its scans are Dutch time. */
const TIME_ZONE = "Europe/Amsterdam";

/** An empty field is `{}` or the text "{}", whatever would stand there otherwise. */
const empty = z.union([z.literal("{}"), z.strictObject({})]);
const text = z.union([empty.transform(() => undefined), looseText]);
function object<T extends z.ZodRawShape>(shape: T) {
  return z.union([empty.transform(() => undefined), looseObject(shape)]);
}
/** A list of one comes without its brackets. */
function list<T extends z.ZodType>(element: T) {
  return z.union([
    empty.transform(() => []),
    looseList(element),
    element.transform((only) => [only]),
  ]);
}

const status = z.object({ TimeStamp: text, StatusCode: text, StatusDescription: text });

const shipment = z.object({
  Barcode: text,
  DeliveryDate: text,
  Expectation: object({ ETAFrom: text, ETATo: text }),
  Event: list(z.object({ Code: text, TimeStamp: text })),
  Status: object(status.shape),
  OldStatus: list(status),
});

const holder = z.union([
  empty.transform(() => ({ Shipment: [] })),
  looseObject({ Shipment: list(shipment) }),
]);

const reply = z.object({
  CompleteStatus: holder,
  CurrentStatus: holder,
  Warnings: list(z.object({ Code: text, Message: text })),
});

type Shipment = z.output<typeof shipment>;
type Status = z.output<typeof status>;

const errorBody = z.object({
  fault: z.object({ detail: looseObject({ errorcode: looseText }) }),
});

/** PostNL Shipment Status v2, for parcels of one's own customer number. One barcode a call; the signature's picture is not fetched. */
export const postnl: CarrierAdapter<z.output<typeof reply>> = {
  code: "postnl",
  name: "PostNL",
  baseUrl: "https://api.postnl.nl",
  credentials: { API_KEY: "the API key of your customer number at developer.postnl.nl" },
  authentication: {
    kind: "header",
    headers: ({ API_KEY }) => ({ apikey: API_KEY?.reveal() ?? "" }),
  },
  request: ([subject]) => ({
    method: "GET",
    path: `/shipment/v2/status/barcode/${encodeURIComponent(subject?.trackingNumber ?? "")}?detail=true&language=EN`,
  }),
  reply,
  stages,
  errorCode(body) {
    const { data } = errorBody.safeParse(body);
    return data === undefined ? null : (data.fault.detail?.errorcode ?? "fault");
  },
  parse({ CompleteStatus, CurrentStatus, Warnings }, { trackingNumber }) {
    // With detail=true it should be the complete one.
    const shipments = [CompleteStatus, CurrentStatus].find((h) => h?.Shipment.length)?.Shipment;
    if (shipments === undefined) {
      if (CompleteStatus === undefined && CurrentStatus === undefined && Warnings.length === 0)
        throw new Malformed("NO_STATUS", "PostNL answered without a status and without a warning.");
      // How PostNL says that it does not know a barcode is not documented; this is the likeliest.
      throw new NotFound("NO_STATUS", "PostNL has no status for this barcode (yet).");
    }
    const choice = chooseByNumber(shipments, trackingNumber, ({ Barcode }) => [Barcode]);
    const { Status } = choice.chosen;
    const read = eventsFromScans(
      oldestFirst(history(choice.chosen).map((status) => toScan(status, choice.chosen))),
    );
    const stage = stages[Status?.StatusCode ?? ""];
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus: cleanText(Status?.StatusCode),
      rawText: cleanText(Status?.StatusDescription),
      isReturn: false,
      events: read.events,
      estimate: stage === "delivered" ? null : estimateOf(choice.chosen),
      signedBy: null,
      // The public page asks for the recipient's postcode, which has no place in a link.
      trackingUrl: null,
      warnings: [
        ...choice.warnings,
        ...Warnings.flatMap(
          ({ Code, Message }) => cleanText(`PostNL warns: ${Message ?? Code}`) ?? [],
        ),
        ...read.warnings,
      ],
    };
  },
};

/** Newest first, as PostNL sends them. The current status is a scan too where the list lacks it. */
function history({ Status, OldStatus }: Shipment): readonly Status[] {
  const isListed =
    !Status?.TimeStamp ||
    OldStatus.some(
      (old) => old.TimeStamp === Status.TimeStamp && old.StatusCode === Status.StatusCode,
    );
  return isListed ? OldStatus : [Status, ...OldStatus];
}

function toScan({ TimeStamp, StatusCode, StatusDescription }: Status, { Event }: Shipment): Scan {
  const rawCode = StatusCode?.trim() || "none";
  const stage = stages[rawCode];
  return {
    time: dutchTime(TimeStamp),
    rawTime: TimeStamp ?? "",
    rawCode,
    stage,
    description: StatusDescription,
    // PostNL's finer event codes have a list of their own; the one of the same second tells the cause.
    reasonCode:
      stage === "exception" ? Event.find((event) => event.TimeStamp === TimeStamp)?.Code : null,
  };
}

/** "08-11-2022 10:13:20" is 8 November. ISO, which PostNL sends elsewhere, is read too. */
function dutchTime(text: string | undefined): CarrierTime | null {
  const rawTime = text?.trim() ?? "";
  const iso = rawTime.replace(/^(\d{2})-(\d{2})-(\d{4})/, "$3-$2-$1");
  const time = timeInZone(timeFromIso(iso), TIME_ZONE);
  return time && { ...time, rawTime };
}

/** The window where there is one, as Dutch clocks show it, or else the day. */
function estimateOf({ Expectation, DeliveryDate }: Shipment): DeliveryEstimate | null {
  const estimate = estimateFromIso(Expectation?.ETAFrom ?? DeliveryDate, Expectation?.ETATo);
  const isWindow = estimate?.precision === "second";
  return isWindow ? { ...estimate, timeZone: estimate.timeZone ?? TIME_ZONE } : estimate;
}
