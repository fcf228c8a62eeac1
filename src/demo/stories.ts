import type { Scenario } from "../sandbox/scenario.ts";

/** One book of the demo and what its parcel goes through. */
export interface Story {
  readonly title: string;
  readonly author: string;
  readonly carrier: "ups" | "dhl";
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

const BOOKS: readonly (readonly [string, string, Story["carrier"], string, readonly Leg[]])[] = [
  ["Emma", "Jane Austen", "ups", "1ZB00K905703000018", ACROSS],
  ["Middlemarch", "George Eliot", "dhl", "JJD0099990000001", MAILED],
  ["Moby-Dick", "Herman Melville", "ups", "1ZB00K905703000027", ACROSS],
  ["Walden", "Henry David Thoreau", "ups", "1ZB00K905703000036", REFUSED],
  ["Germinal", "Émile Zola", "dhl", "JJD0099990000002", MAILED],
  ["Lalka", "Bolesław Prus", "dhl", "JJD0099990000003", TROUBLED],
  ["The Awakening", "Kate Chopin", "ups", "1ZB00K905703000045", ACROSS],
  ["Effi Briest", "Theodor Fontane", "dhl", "JJD0099990000004", MAILED],
  ["Dracula", "Bram Stoker", "ups", "1ZB00K905703000054", ACROSS],
  ["Max Havelaar", "Multatuli", "dhl", "JJD0099990000005", MAILED],
  ["Leaves of Grass", "Walt Whitman", "ups", "1ZB00K905703000063", ACROSS],
  ["Don Quixote", "Miguel de Cervantes", "dhl", "JJD0099990000006", TROUBLED],
];

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
export const OUTAGE = { from: 12, until: 27 } as const;
