const DAY_MS = 24 * 3_600_000;

/** The first midnight in UTC after `now`: when a daily allowance counted in GMT starts anew. */
export function nextUtcMidnight(now: Date): Date {
  return new Date((Math.floor(now.getTime() / DAY_MS) + 1) * DAY_MS);
}
