import type { WatchFor } from "../../harness/faultline.ts";

/**
 * The places on the road of a lookup where something may die, by the bytes that
 * go by there. Between them nothing reaches anybody else, so there are no others.
 * "carrier": the carrier has the request and has not answered.
 */
export const POINTS: Readonly<Record<string, WatchFor | "carrier">> = {
  "dispatch is asked for": sent("housekeeping", "bookpost_private.dispatch()"),
  "jobs are fetched": sent("queue", /get_job\d*\//),
  "jobs are given": got("queue", "parcelId"),
  "permits are asked for": sent("worker", "bookpost_private.acquire_lookups"),
  "permits are given": got("worker", "permit"),
  "the carrier is asked": "carrier",
  "the end is written": sent("worker", "bookpost_private.record_lookups"),
  "the end is written down": got("worker", "previousStatus"),
  "the job is ended": sent("queue", "complete_job"),
  "a beat is sent": sent("heartbeat", "bookpost_private.beat"),
  "a sweep is sent": sent("housekeeping", "bookpost_private.sweep"),
};

/**
 * Those on the road of a message. "receiver": the mail server or the endpoint
 * has the message whole and has not answered.
 */
export const MESSAGE_POINTS: Readonly<Record<string, WatchFor | "receiver">> = {
  "a message is begun": sent("worker", "bookpost_private.begin_delivery"),
  "a message is given to the worker": got("worker", "unsubscribeToken"),
  "a message is handed over": "receiver",
  "a message's end is written": sent("worker", "bookpost_private.end_delivery"),
  // The end of the text's length, and the text: begin_delivery says "send".
  "a message's end is written down": got("worker", "\u0000\u0004sent"),
};

function sent(purpose: string, match: string | RegExp): WatchFor {
  return { applicationName: `bookpost ${purpose}`, direction: "upstream", match };
}

function got(purpose: string, match: string | RegExp): WatchFor {
  return { applicationName: `bookpost ${purpose}`, direction: "downstream", match };
}
