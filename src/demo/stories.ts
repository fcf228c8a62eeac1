import type { Scenario } from "../sandbox/scenario.ts";

/** One book of the demo and what its parcel goes through. */
export interface Story {
  readonly title: string;
  readonly author: string;
  readonly carrier: string;
  readonly trackingNumber: string;
  readonly scenario: Scenario;
}

type Step = Scenario["steps"][number];
type Leg = readonly [
  stage: Step["stage"],
  hoursAgo: number,
  atSecond: number,
  city: string,
  country: string,
];

const MAILED: readonly Leg[] = [
  ["pre_transit", 70, 0, "Hay-on-Wye", "GB"],
  ["in_transit", 48, 8, "Cologne", "DE"],
  ["out_for_delivery", 6, 24, "Lyon", "FR"],
  ["delivered", 1, 38, "Lyon", "FR"],
];
const ACROSS: readonly Leg[] = [
  ["pre_transit", 90, 0, "Portland", "US"],
  ["in_transit", 66, 6, "Louisville", "US"],
  ["in_transit", 30, 20, "Philadelphia", "US"],
  ["out_for_delivery", 5, 32, "Boston", "US"],
  ["delivered", 1, 46, "Boston", "US"],
];
const TROUBLED: readonly Leg[] = [
  ["in_transit", 60, 0, "Leipzig", "DE"],
  ["exception", 20, 12, "Warsaw", "PL"],
  ["in_transit", 8, 28, "Warsaw", "PL"],
  ["delivered", 1, 44, "Gdansk", "PL"],
];
const REFUSED: readonly Leg[] = [
  ["in_transit", 80, 0, "Chicago", "US"],
  ["exception", 40, 14, "Denver", "US"],
  ["return_to_sender", 12, 34, "Chicago", "US"],
];

const BOOKS: readonly (readonly [string, string, string, string, readonly Leg[]])[] = [
  ["Emma", "Jane Austen", "ups", "1ZB00K905703000018", ACROSS],
  ["Middlemarch", "George Eliot", "dhl", "JJD0099990000001", MAILED],
  ["Moby-Dick", "Herman Melville", "usps", "9400100000000000000001", ACROSS],
  ["Walden", "Henry David Thoreau", "ups", "1ZB00K905703000036", REFUSED],
  ["Germinal", "Émile Zola", "la_poste", "6A99990000001", MAILED],
  ["Lalka", "Bolesław Prus", "dhl", "JJD0099990000003", TROUBLED],
  ["The Awakening", "Kate Chopin", "fedex", "999900000001", ACROSS],
  ["Dracula", "Bram Stoker", "royal_mail", "RB999900001GB", MAILED],
  ["Max Havelaar", "Multatuli", "postnl", "3SDEMO999900001", MAILED],
  ["Anne of Green Gables", "L. M. Montgomery", "canada_post", "9999000000000001", ACROSS],
  ["My Brilliant Career", "Miles Franklin", "australia_post", "99AA00000001", ACROSS],
  ["Far from the Madding Crowd", "Thomas Hardy", "parcelforce", "PB999900002GB", MAILED],
];

/** Whom the demo asks where the carrier has no API of its own that we know. */
export const ROUTES = [{ carrier: "parcelforce", api: "easypost" }] as const;

/** In mid-journey some carriers are asked through an aggregator instead, in seconds at speed 1: one row each, and the parcels follow. */
export const DETOURS = {
  at: 17,
  routes: [
    { carrier: "usps", api: "pitney_bowes" },
    { carrier: "la_poste", api: "shippo" },
    { carrier: "canada_post", api: "aftership" },
    { carrier: "australia_post", api: "seventeen_track" },
  ],
} as const;

/** A dozen books under way. `startedAt` dates their scans; `speed` 2 makes them arrive in half the time. */
export function tellStories(startedAt: Date, speed: number): Story[] {
  return BOOKS.map(([title, author, carrier, trackingNumber, legs], place) => ({
    title,
    author,
    carrier,
    trackingNumber,
    scenario: {
      steps: legs.map(([stage, hoursAgo, atSecond, city, country]) => ({
        stage,
        at: hoursBefore(startedAt, hoursAgo),
        city,
        country,
        // A little apart, so that a watcher sees them move one by one.
        afterMs: Math.round(((atSecond + (atSecond > 0 ? place * 0.7 : 0)) * 1000) / speed),
      })),
      shown: 0,
      signedBy: "A. READER",
    },
  }));
}

function hoursBefore(moment: Date, hours: number): string {
  return new Date(moment.getTime() - hours * 3_600_000).toISOString().replace(/\.\d+Z$/, "Z");
}

/** When UPS goes down and comes back, in seconds at speed 1. */
export const OUTAGE = { from: 12, until: 34 } as const;
