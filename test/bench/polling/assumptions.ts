// What the simulation assumes of parcels' lives. NOTE: nothing here is measured by us: the sources are named, all else
// is chosen to look like a bookseller's post. Revisit when there is a year of our own ledger.

/** Days of the simulated month on which labels are made; the clocks change in it, in America and in Europe. */
export const FIRST_DAY = "2026-03-02";
export const LABEL_DAYS = 28;
/** A parcel that never ends is watched this long, by both. The old system had no end for it at all. */
export const PATIENCE_DAYS = 30;
/** How long the carrier takes to show a scan to those who ask. */
export const SHOWN_AFTER_MINUTES = { from: 0, until: 30 };

export interface CarrierModel {
  readonly apiCode: string;
  /** Its part of the parcels. */
  readonly weight: number;
  /** Where its customers live. */
  readonly zones: readonly string[];
  /** Parcels whose scans tell the offset of their clock. */
  readonly offsetShare: number;
  readonly internationalShare: number;
  /** Deliveries that would fall on a Sunday and do. */
  readonly sundayShare: number;
  /** Parcels for which an estimate is given at all; about 70 % over all. */
  readonly estimateShare: number;
  /** Parcels that get a scan when they are on the vehicle. */
  readonly outForDeliveryShare: number;
}

const AMERICA = [
  "America/New_York",
  "America/New_York",
  "America/Chicago",
  "America/Chicago",
  "America/Denver",
  "America/Los_Angeles",
];
const EUROPE = ["Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/London", "Europe/Athens"];

export const CARRIERS: readonly CarrierModel[] = [
  // USPS: newer answers have GMTOffset, older ones a Z that lies and counts as none. Sundays: mostly others' parcels.
  {
    apiCode: "usps",
    weight: 28,
    zones: AMERICA,
    offsetShare: 0.5,
    internationalShare: 0.08,
    sundayShare: 0.15,
    estimateShare: 0.75,
    outForDeliveryShare: 0.95,
  },
  {
    apiCode: "ups",
    weight: 18,
    zones: AMERICA,
    offsetShare: 0.95,
    internationalShare: 0.1,
    sundayShare: 0.1,
    estimateShare: 0.85,
    outForDeliveryShare: 0.95,
  },
  {
    apiCode: "fedex",
    weight: 12,
    zones: AMERICA,
    offsetShare: 0.95,
    internationalShare: 0.1,
    sundayShare: 0.3,
    estimateShare: 0.85,
    outForDeliveryShare: 0.95,
  },
  // DHL: no status for it, mostly no offset (its specification's example has none).
  {
    apiCode: "dhl",
    weight: 12,
    zones: EUROPE,
    offsetShare: 0.3,
    internationalShare: 0.4,
    sundayShare: 0,
    estimateShare: 0.6,
    outForDeliveryShare: 0,
  },
  {
    apiCode: "royal_mail",
    weight: 12,
    zones: ["Europe/London"],
    offsetShare: 1,
    internationalShare: 0.2,
    sundayShare: 0.1,
    estimateShare: 0.6,
    outForDeliveryShare: 0.9,
  },
  {
    apiCode: "canada_post",
    weight: 5,
    zones: ["America/Toronto", "America/Toronto", "America/Winnipeg", "America/Vancouver"],
    offsetShare: 0.9,
    internationalShare: 0.15,
    sundayShare: 0,
    estimateShare: 0.8,
    outForDeliveryShare: 0.9,
  },
  {
    apiCode: "la_poste",
    weight: 5,
    zones: ["Europe/Paris"],
    offsetShare: 1,
    internationalShare: 0.2,
    sundayShare: 0,
    estimateShare: 0.4,
    outForDeliveryShare: 0.85,
  },
  {
    apiCode: "australia_post",
    weight: 4,
    zones: ["Australia/Sydney", "Australia/Brisbane", "Australia/Perth"],
    offsetShare: 1,
    internationalShare: 0.15,
    sundayShare: 0,
    estimateShare: 0.6,
    outForDeliveryShare: 0.9,
  },
  {
    apiCode: "postnl",
    weight: 4,
    zones: ["Europe/Amsterdam"],
    offsetShare: 0.1,
    internationalShare: 0.25,
    sundayShare: 0,
    estimateShare: 0.7,
    outForDeliveryShare: 0.9,
  },
];

/** Where international parcels go. */
export const ABROAD = [...AMERICA, ...EUROPE, "Asia/Tokyo", "Australia/Sydney", "America/Toronto"];

/** How parcels' lives go. */
export const FATES = [
  { fate: "plain", weight: 84 },
  /** Nobody at home; again on the next delivery day. */
  { fate: "attempted", weight: 5 },
  /** Something goes wrong under way and costs a delivery day. */
  { fate: "exception", weight: 4 },
  { fate: "pickup", weight: 3 },
  { fate: "returned", weight: 1 },
  /** Scanned for a while, then never again. */
  { fate: "lost", weight: 1 },
  /** A number that the carrier never knows: mistyped, or the label was thrown away. */
  { fate: "never_known", weight: 1 },
  { fate: "cancelled", weight: 1 },
] as const;
export type Fate = (typeof FATES)[number]["fate"];

/** Delivery days between hand-over and delivery, at home. */
export const DOMESTIC_DAYS = [
  { days: 1, weight: 15 },
  { days: 2, weight: 30 },
  { days: 3, weight: 28 },
  { days: 4, weight: 15 },
  { days: 5, weight: 8 },
  { days: 7, weight: 4 },
];
/** Calendar days between hand-over and delivery, abroad. */
export const INTERNATIONAL_DAYS = { from: 5, until: 16 };

/**
 * By how many days the delivery misses the estimate. ShipMatrix reports 95 to 98 % on time for December 2021 and other
 * counts as little as 68 to 86 % (Convey, December 2019); the middle was taken.
 */
export const ESTIMATE_MISSES = [
  { days: 0, weight: 85 },
  { days: 1, weight: 10 },
  { days: -1, weight: 2 },
  { days: 2, weight: 2 },
  { days: 4, weight: 1 },
];
/** Estimates that come with the label; the others come with the first scan. */
export const ESTIMATE_WITH_LABEL_SHARE = 0.4;

/** Hours by the wall clock at the parcel. */
export const HOURS = {
  label: { from: 8, until: 22 },
  /** Loading of vehicles: "updated in the morning when the driver scans all the packages". */
  outForDelivery: { mean: 7.75, deviation: 1.2, from: 5, until: 11 },
  delivery: { mean: 13.5, deviation: 2.75, from: 8, until: 20 },
  handOver: { mean: 16.5, deviation: 2, from: 10, until: 21 },
  /** Sorting centres: from the evening into the next morning. */
  nightScan: { from: 18, until: 29 },
  arrivalScan: { from: 2, until: 5.5 },
  exception: { from: 9, until: 18 },
  collection: { from: 9, until: 19 },
};

/** The owner hears of the number and tells us: hours after the label was made. */
export const TRACKED_AFTER_HOURS = { mean: 6, until: 48 };
/** The carrier knows the number this many hours after the label: most at once, some with its next import. */
export const KNOWN_AFTER_HOURS = [
  { from: 0, until: 0.5, weight: 70 },
  { from: 0.5, until: 4, weight: 25 },
  { from: 4, until: 24, weight: 5 },
];
/** Delivery days between label and hand-over. */
export const HAND_OVER_DAYS = [
  { days: 0, weight: 40 },
  { days: 1, weight: 40 },
  { days: 2, weight: 10 },
  { days: 4, weight: 7 },
  { days: 7, weight: 3 },
];
