import { DateTime } from "luxon";
import { type Chance, chanceFrom } from "../../helpers/chance.ts";
import {
  ABROAD,
  CARRIERS,
  type CarrierModel,
  DOMESTIC_DAYS,
  ESTIMATE_MISSES,
  ESTIMATE_WITH_LABEL_SHARE,
  FATES,
  type Fate,
  FIRST_DAY,
  HAND_OVER_DAYS,
  HOURS,
  INTERNATIONAL_DAYS,
  KNOWN_AFTER_HOURS,
  LABEL_DAYS,
  PATIENCE_DAYS,
  SHOWN_AFTER_MINUTES,
  TRACKED_AFTER_HOURS,
} from "./assumptions.ts";

export const HOUR = 3600;
export const DAY = 24 * HOUR;

export interface Scan {
  readonly status: string;
  /** Seconds since 1970, as all times here. */
  readonly occurredAt: number;
  /** From when on the carrier tells it. */
  readonly shownAt: number;
  /** Seconds east of Greenwich; null: the carrier does not tell. */
  readonly utcOffset: number | null;
}

export interface Life {
  readonly carrier: CarrierModel;
  readonly fate: Fate;
  readonly isInternational: boolean;
  readonly trackedAt: number;
  /** By shownAt. */
  readonly scans: readonly Scan[];
  /** A day, as YYYY-MM-DD at the destination. */
  readonly estimate: { readonly shownAt: number; readonly day: string } | null;
  /** The return has arrived: nothing more will come. */
  readonly returnedAt: number | null;
  /** Both give up then, where nothing ended it before. */
  readonly givenUpAt: number;
}

/** Lives of parcels, by the assumptions; the same for the same seed. */
export function livesFrom(count: number, seed: number): readonly Life[] {
  const chance = chanceFrom(seed);
  return Array.from({ length: count }, () => lifeFrom(chance));
}

function lifeFrom(chance: Chance): Life {
  const carrier = chance.pickWeighted(CARRIERS);
  const { fate } = chance.pickWeighted(FATES);
  const isInternational = chance.happens(carrier.internationalShare);
  const origin = chance.pick(carrier.zones);
  const destination = chance.pick(isInternational ? ABROAD : carrier.zones);
  const tellsOffset = chance.happens(carrier.offsetShare);
  const tellsOutForDelivery = chance.happens(carrier.outForDeliveryShare);
  const scans: Scan[] = [];

  const scan = (status: string, zone: string, day: number, hour: number) => {
    const { at, offset } = instantOf(zone, day, hour);
    const shownAt = at + 60 * chance.between(SHOWN_AFTER_MINUTES.from, SHOWN_AFTER_MINUTES.until);
    scans.push({ status, occurredAt: at, shownAt, utcOffset: tellsOffset ? offset : null });
    return shownAt;
  };
  const hourIn = ({ from, until }: { from: number; until: number }) => chance.between(from, until);
  const hourAround = (h: { mean: number; deviation: number; from: number; until: number }) =>
    chance.around(h.mean, h.deviation, h.from, h.until);

  const labelDay = Math.floor(chance.between(0, LABEL_DAYS));
  const labelHour = hourIn(HOURS.label);
  const labelAt = instantOf(origin, labelDay, labelHour).at;
  const trackedAt =
    labelAt +
    HOUR * Math.min(TRACKED_AFTER_HOURS.until, chance.exponential(TRACKED_AFTER_HOURS.mean));
  const life = (estimate: Life["estimate"] = null, returnedAt: number | null = null): Life => ({
    carrier,
    fate,
    isInternational,
    trackedAt,
    scans: scans.sort((a, b) => a.shownAt - b.shownAt),
    estimate,
    returnedAt,
    givenUpAt: trackedAt + PATIENCE_DAYS * DAY,
  });
  if (fate === "never_known") return life();

  const knownAt = labelAt + HOUR * hourIn(chance.pickWeighted(KNOWN_AFTER_HOURS));
  scans.push({
    status: "pre_transit",
    occurredAt: labelAt,
    shownAt: knownAt,
    utcOffset: tellsOffset ? instantOf(origin, labelDay, labelHour).offset : null,
  });
  if (fate === "cancelled") {
    scan("cancelled", origin, labelDay + 1 + Math.floor(chance.between(0, 3)), hourIn(HOURS.label));
    return life();
  }

  // Posted on the label's day only if it was made before the afternoon.
  const soonest = labelDay + (labelHour < 15 ? 0 : 1);
  const handOverDay = afterDeliveryDays(
    onDeliveryDay(soonest, 0, chance),
    chance.pickWeighted(HAND_OVER_DAYS).days,
    0,
    chance,
  );
  const handOverHour = Math.max(
    hourAround(HOURS.handOver),
    handOverDay === labelDay ? labelHour + 0.5 : 0,
  );
  const firstShownAt = scan("in_transit", origin, handOverDay, handOverHour);

  const plannedDay = isInternational
    ? onDeliveryDay(
        handOverDay +
          Math.floor(chance.between(INTERNATIONAL_DAYS.from, INTERNATIONAL_DAYS.until + 1)),
        carrier.sundayShare,
        chance,
      )
    : afterDeliveryDays(
        handOverDay,
        chance.pickWeighted(DOMESTIC_DAYS).days,
        carrier.sundayShare,
        chance,
      );
  const isDelayed = fate === "exception";
  const firstTryDay = isDelayed
    ? afterDeliveryDays(plannedDay, 1, carrier.sundayShare, chance)
    : plannedDay;

  const half = (handOverDay + firstTryDay) / 2;
  const zoneOn = (day: number) => (day < half ? origin : destination);
  const lastScannedDay = fate === "lost" ? half : firstTryDay;
  for (let day = handOverDay; day < lastScannedDay; day++) {
    // Sundays are quiet, and so is the road abroad.
    if (chance.happens(isSunday(day) ? 0.3 : isInternational ? 0.55 : 0.9)) {
      const from =
        day === handOverDay
          ? Math.max(HOURS.nightScan.from, handOverHour + 1)
          : HOURS.nightScan.from;
      const first = chance.between(from, HOURS.nightScan.until);
      scan("in_transit", zoneOn(day), day, first);
      if (chance.happens(0.4))
        scan("in_transit", zoneOn(day), day, chance.between(first, HOURS.nightScan.until + 1));
    }
  }
  const missed = chance.pickWeighted(ESTIMATE_MISSES).days;
  const estimate = chance.happens(carrier.estimateShare)
    ? {
        shownAt: chance.happens(ESTIMATE_WITH_LABEL_SHARE) ? knownAt : firstShownAt,
        day: dateOf(Math.max(plannedDay - missed, handOverDay)),
      }
    : null;
  if (fate === "lost") return life(estimate);

  if (isDelayed)
    scan(
      "exception",
      zoneOn(plannedDay - 1),
      Math.max(plannedDay - 1, handOverDay + 1),
      hourIn(HOURS.exception),
    );
  scan("in_transit", destination, firstTryDay, hourIn(HOURS.arrivalScan));

  /** On the vehicle, and at the door some hours later; the hour at the door. */
  const drive = (day: number): number => {
    const loadedAt = hourAround(HOURS.outForDelivery);
    if (tellsOutForDelivery) scan("out_for_delivery", destination, day, loadedAt);
    return Math.max(hourAround(HOURS.delivery), loadedAt + 0.5);
  };
  const door = drive(firstTryDay);
  const nextDay = () => afterDeliveryDays(firstTryDay, 1, carrier.sundayShare, chance);
  switch (fate) {
    case "plain":
    case "exception":
      scan("delivered", destination, firstTryDay, door);
      return life(estimate);
    case "attempted": {
      scan("exception", destination, firstTryDay, door);
      const day = nextDay();
      scan("delivered", destination, day, drive(day));
      return life(estimate);
    }
    case "pickup": {
      scan("available_for_pickup", destination, firstTryDay, door);
      const day = onDeliveryDay(firstTryDay + 1 + Math.floor(chance.between(0, 5)), 0, chance);
      scan("delivered", destination, day, hourIn(HOURS.collection));
      return life(estimate);
    }
    case "returned": {
      scan("exception", destination, firstTryDay, door);
      scan("return_to_sender", destination, nextDay(), hourIn(HOURS.exception));
      const back = onDeliveryDay(firstTryDay + 5, 0, chance);
      return life(estimate, scan("return_to_sender", origin, back, hourAround(HOURS.delivery)));
    }
    default: {
      const unknown: never = fate;
      throw new Error(`no such fate: ${unknown}`);
    }
  }
}

const FIRST = DateTime.fromISO(FIRST_DAY, { zone: "UTC" });

/** The day with this number (0: the first, a Monday) as YYYY-MM-DD. */
function dateOf(day: number): string {
  return FIRST.plus({ days: day }).toFormat("yyyy-MM-dd");
}

const midnights = new Map<string, { readonly at: number; readonly offset: number }>();

/**
 * When the clock in `zone` shows this hour of this day; hours past 24 run into the next. The offset is that of the
 * day's noon: around a change of the clocks a scan in the night is an hour off, which changes nothing here.
 */
function instantOf(zone: string, day: number, hour: number): { at: number; offset: number } {
  const key = `${zone} ${day}`;
  let noon = midnights.get(key);
  if (!noon) {
    const { year, month, day: date } = FIRST.plus({ days: day });
    const time = DateTime.fromObject({ year, month, day: date, hour: 12 }, { zone });
    noon = { at: time.toSeconds() - 12 * HOUR, offset: time.offset * 60 };
    midnights.set(key, noon);
  }
  return { at: noon.at + hour * HOUR, offset: noon.offset };
}

function isSunday(day: number): boolean {
  return day % 7 === 6;
}

/** This day, or Monday where it is a Sunday without deliveries. */
function onDeliveryDay(day: number, sundayShare: number, chance: Chance): number {
  return isSunday(day) && !chance.happens(sundayShare) ? day + 1 : day;
}

function afterDeliveryDays(
  day: number,
  count: number,
  sundayShare: number,
  chance: Chance,
): number {
  let reached = day;
  for (let i = 0; i < count; i++) reached = onDeliveryDay(reached + 1, sundayShare, chance);
  return reached;
}
