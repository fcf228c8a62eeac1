import type { News } from "../message.ts";
import type { Language } from "./language.ts";

const DAY = { weekday: "short", day: "numeric", month: "long", year: "numeric" } as const;
const CLOCK = { ...DAY, hour: "2-digit", minute: "2-digit" } as const;

/** How dates are written for one person. */
export interface Calendar {
  readonly language: Language;
  /** A tag that Intl takes. */
  readonly locale: string;
  /** The person's own. */
  readonly timeZone: string;
}

/** Dates follow the person's region where her language is ours; else a French month would stand in English. */
export function calendarOf(language: Language, tag: string, timeZone: string): Calendar {
  const isOurs = tag.toLowerCase().startsWith(`${language.tag.toLowerCase()}-`);
  return { language, locale: isOurs ? tag : language.locale, timeZone };
}

/**
 * When the carrier saw it. An instant is shown in the person's zone, with the
 * zone's name; a wall clock of which nobody knows the zone is not turned into
 * an instant; a day stays a day.
 */
export function timeOf(
  news: Pick<News, "occurredAt" | "localTime" | "timeZone" | "isDateOnly">,
  { language, locale, timeZone }: Calendar,
): string | null {
  if (news.isDateOnly && news.localTime !== null) return wallClock(news.localTime, locale, DAY);
  if (news.occurredAt !== null)
    return news.isDateOnly
      ? format(news.occurredAt, locale, DAY, news.timeZone ?? "UTC")
      : format(news.occurredAt, locale, { ...CLOCK, timeZoneName: "short" }, timeZone);
  const time = wallClock(news.localTime, locale, CLOCK);
  return time === null ? null : language.localTimeThere(time);
}

/** When it is expected, as a wall clock at the destination shows it. */
export function estimateOf(
  news: Pick<News, "estimatedFrom" | "estimatedUntil" | "isEstimateADate">,
  { language, locale }: Calendar,
): string | null {
  const style = news.isEstimateADate ? DAY : CLOCK;
  const [from, until] = [news.estimatedFrom, news.estimatedUntil].map((time) =>
    wallClock(time, locale, style),
  );
  const text = from && until && from !== until ? language.range(from, until) : until || from;
  if (!text) return null;
  return news.isEstimateADate ? text : language.localTimeThere(text);
}

function wallClock(time: string | null, locale: string, style: Intl.DateTimeFormatOptions) {
  return time === null ? null : format(`${time}Z`, locale, style, "UTC");
}

/** Null for what is no date (infinity); UTC for a zone that Intl does not know. */
function format(
  time: string,
  locale: string,
  style: Intl.DateTimeFormatOptions,
  timeZone: string,
): string | null {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return null;
  try {
    return new Intl.DateTimeFormat(locale, { ...style, timeZone }).format(date);
  } catch {
    return new Intl.DateTimeFormat("en-GB", {
      ...style,
      timeZone: "UTC",
      timeZoneName: style.timeZoneName,
    }).format(date);
  }
}
