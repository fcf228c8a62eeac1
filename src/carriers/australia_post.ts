import { z } from "zod";
import { NotFound } from "../errors.ts";
import type { CarrierAdapter, Stage } from "./carrier.ts";
import { sortTime, timeFromIso } from "./carrierTime.ts";
import { cleanText } from "./cleanText.ts";
import { eventsFromScans, type Scan, unlisted } from "./eventsFromScans.ts";
import { looseList, looseObject, looseText } from "./looseSchema.ts";
import { numberFailure } from "./numberFailure.ts";
import { oldestFirst } from "./oldestFirst.ts";
import { stageTable } from "./stageTable.ts";
import { normalizeTrackingNumber } from "./trackingNumber.ts";

/** The API has no codes: its statuses are English names, here in lower case with "_" for blanks. It has none for a return. */
const stages = stageTable({
  pre_transit: "created initiated sealed",
  in_transit: "in_transit",
  out_for_delivery: "on_board_for_delivery",
  available_for_pickup: "awaiting_collection ready_for_pickup",
  delivered: "delivered item_delivered delivered_in_full",
  exception:
    "possible_delay held_by_courier unsuccessful_delivery to_be_re-delivered article_damaged " +
    "cannot_be_delivered",
  cancelled: "cancelled",
  unknown: "unknown",
});

const events = looseList(
  z.object({ location: looseText, description: looseText, date: looseText }),
);
const article = { article_id: looseText, status: looseText, events };

const result = z.object({
  tracking_id: looseText,
  status: looseText,
  consignment: looseObject({ status: looseText, events }),
  // A consignment of several articles lists them one level deeper.
  trackable_items: looseList(z.object({ ...article, items: looseList(z.object(article)) })),
  errors: looseList(z.object({ code: looseText })),
});

const reply = z.object({ tracking_results: z.array(result) });

type Result = z.output<typeof result>;
type Event = z.output<typeof events>[number];

const errorBody = z.object({
  errors: looseList(z.object({ code: looseText, error_code: looseText })),
});

/** Australia Post Shipping and Tracking, for business accounts; answers for StarTrack too. Ten numbers a call. */
export const australia_post: CarrierAdapter<z.output<typeof reply>> = {
  code: "australia_post",
  name: "Australia Post",
  baseUrl: "https://digitalapi.auspost.com.au/shipping/v1",
  credentials: {
    API_KEY: "the API key of your account at developers.auspost.com.au",
    API_PASSWORD: "the password of that key",
    ACCOUNT_NUMBER: "your account: 10 digits at Australia Post, 8 at StarTrack",
  },
  authentication: {
    kind: "header",
    headers: ({ API_KEY, API_PASSWORD, ACCOUNT_NUMBER }) => ({
      authorization: `Basic ${Buffer.from(`${API_KEY?.reveal()}:${API_PASSWORD?.reveal()}`).toString("base64")}`,
      "Account-Number": ACCOUNT_NUMBER?.reveal() ?? "",
    }),
  },
  batchSize: 10,
  // Numbers of Australia Post and StarTrack may not be mixed (51103), and nothing in a number tells them apart;
  // nor can a refusal for an unknown number be laid at the door of all ten.
  batchFaults: ["51103", "51104", "ESB-10001", "ESB-10002"],
  request: (subjects) => ({
    method: "GET",
    path: `/track?tracking_ids=${subjects.map(({ trackingNumber }) => encodeURIComponent(trackingNumber)).join(",")}`,
  }),
  reply,
  stages,
  errorCode(body) {
    const [error] = errorBody.safeParse(body).data?.errors ?? [];
    return error === undefined ? null : (error.code ?? error.error_code ?? "none");
  },
  // Of a whole request, or of one number within an answer.
  outcomes: {
    "ESB-10001": "not_found",
    // The product is not tracked: the carrier is well, and there is nothing to see.
    "ESB-10002": "not_found",
    "51104": "not_found",
    "ESB-20010": "unavailable",
    "ESB-20050": "unavailable",
    API_002: "rate_limited",
    "51100": "rejected",
    "51101": "rejected",
    "51102": "rejected",
    "51103": "rejected",
  },
  parse({ tracking_results }, { trackingNumber }) {
    const mine = tracking_results.find((one) => isNumber(one.tracking_id, trackingNumber));
    // Never somebody else's: an answer about ten numbers may leave one out.
    if (mine === undefined)
      throw new NotFound("NOT_IN_ANSWER", "Australia Post's answer leaves this number out.");
    const [error] = mine.errors;
    if (error !== undefined) throw numberFailure(australia_post, error.code ?? "none");
    const { status, lists, isWhole } = readResult(mine, trackingNumber);
    const rawStatus = cleanText(status);
    const stage = stages[nameOf(status)];
    const scans = inOrder(lists.map((list) => oldestFirst(list.map(toScan(status, isWhole)))));
    const read = eventsFromScans(withCurrentStage(scans, stage));
    return {
      status: stage === undefined || stage === "no_change" ? null : stage,
      rawStatus,
      rawText: cleanText(scans.at(-1)?.description),
      isReturn: false,
      events: read.events,
      estimate: null,
      signedBy: null,
      trackingUrl: null,
      warnings: [
        ...new Set([
          ...read.warnings,
          ...(rawStatus !== null && stage === undefined ? [unlisted(rawStatus)] : []),
        ]),
      ],
    };
  },
};

function isNumber(text: string | undefined, trackingNumber: string): boolean {
  return (
    text !== undefined && normalizeTrackingNumber(text) === normalizeTrackingNumber(trackingNumber)
  );
}

function nameOf(text: string | undefined): string {
  return text?.trim().toLowerCase().replaceAll(/\s+/g, "_") ?? "";
}

/**
 * What concerns the number: one article of several, or the consignment with all
 * of them. Of several articles a scan moves one only, so only the status tells
 * the stage of the whole.
 */
function readResult(result: Result, trackingNumber: string) {
  const articles = result.trackable_items.flatMap((item) =>
    item.items.length > 0 ? item.items : [item],
  );
  const one = articles.find(({ article_id }) => isNumber(article_id, trackingNumber));
  if (one !== undefined && articles.length > 1)
    return { status: one.status ?? result.status, lists: [one.events], isWhole: true };
  const names = new Set(articles.map(({ status }) => nameOf(status)));
  const common = names.size === 1 ? articles[0]?.status : undefined;
  return {
    status: result.status ?? result.consignment?.status ?? common,
    lists: [result.consignment?.events ?? [], ...articles.map((each) => each.events)],
    isWhole: articles.length <= 1,
  };
}

/** A scan has a text. Where that is the name of a status it tells a stage; other words never do. */
function toScan(status: string | undefined, isWhole: boolean) {
  return ({ description, location, date }: Event): Scan => {
    const name = nameOf(description);
    const isName = isWhole && (stages[name] !== undefined || name === nameOf(status));
    return {
      time: timeFromIso(date),
      rawTime: date ?? "",
      rawCode: description ?? "none",
      stage: isName && name !== "" ? stages[name] : "no_change",
      description,
      location,
    };
  };
}

/** Several lists, each oldest first, in one. */
function inOrder(lists: readonly (readonly Scan[])[]): readonly Scan[] {
  const told = lists.filter((list) => list.length > 0);
  if (told.length <= 1) return told[0] ?? [];
  return told.flat().sort((a, b) => (a.time && b.time ? sortTime(a.time) - sortTime(b.time) : 0));
}

/**
 * The current status has no time of its own, yet it must not lose to an older
 * scan that names another one, and a delivery needs its time: then it belongs
 * to the newest scan, unless that names a stage itself.
 */
function withCurrentStage(scans: readonly Scan[], stage: Stage | undefined): readonly Scan[] {
  const place = scans.findLastIndex(({ time }) => time !== null);
  const newest = scans[place];
  if (stage === undefined || stage === "unknown" || newest?.stage !== "no_change") return scans;
  const told = scans.findLast((scan) => scan.stage !== undefined && scan.stage !== "no_change");
  const isNeeded = told === undefined ? stage === "delivered" : told.stage !== stage;
  return isNeeded ? scans.with(place, { ...newest, stage }) : scans;
}
