import { DAY, type Life } from "./lives.ts";
import type { Looks } from "./watch.ts";

/** Seconds; null where there was nothing to measure. */
export interface Spread {
  readonly count: number;
  readonly mean: number | null;
  readonly median: number | null;
  readonly p95: number | null;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? null;
  return {
    count: sorted.length,
    mean: sorted.length > 0 ? sorted.reduce((sum, value) => sum + value, 0) / sorted.length : null,
    median: at(0.5),
    p95: at(0.95),
  };
}

export const NEWS = ["first scan", "out_for_delivery", "delivered", "exception"] as const;
export type News = (typeof NEWS)[number];

/**
 * From the event to the first look that could see it. What the carrier showed before tracking began is left out:
 * nobody could have known it sooner.
 */
export function delaysOf(lives: readonly Life[], looks: Looks, news: News): number[] {
  return lives.flatMap((life, i) => {
    const told =
      news === "first scan"
        ? life.scans.filter(({ status }) => status === "in_transit").slice(0, 1)
        : life.scans.filter(({ status }) => status === news);
    return told
      .filter(({ shownAt }) => shownAt > life.trackedAt)
      .flatMap(({ occurredAt, shownAt }) => {
        const seenAt = looks[i]?.find((at) => at >= shownAt);
        return seenAt === undefined ? [] : [seenAt - occurredAt];
      });
  });
}

/** The most looks at one parcel in one day of UTC. */
export function mostInADay(looks: Looks): number {
  let most = 0;
  for (const times of looks) {
    let day = Number.NaN;
    let count = 0;
    for (const at of times) {
      count = Math.floor(at / DAY) === day ? count + 1 : 1;
      day = Math.floor(at / DAY);
      most = Math.max(most, count);
    }
  }
  return most;
}

/** The shortest time between two looks at one parcel, in seconds. */
export function shortestGap(looks: Looks): number {
  return looks.reduce(
    (least, times) =>
      times.reduce((gap, at, i) => (i > 0 ? Math.min(gap, at - (times[i - 1] ?? at)) : gap), least),
    Number.POSITIVE_INFINITY,
  );
}

/** Looks per day of watching, over all. */
export function looksPerDay(looks: Looks): number {
  const count = looks.reduce((sum, times) => sum + times.length, 0);
  const days = looks.reduce((sum, times) => sum + ((times.at(-1) ?? 0) - (times[0] ?? 0)) / DAY, 0);
  return count / days;
}
