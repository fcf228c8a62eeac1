import { MOST_LINK_DAYS, refusal } from "./refusals.ts";

/**
 * For how many days a public link works.
 * @throws InputError BAD_DAYS
 */
export function readLinkDays(days: number | string): number {
  const count = /^\d{1,3}$/.test(String(days)) ? Number(days) : 0;
  if (count < 1 || count > MOST_LINK_DAYS) throw refusal("BAD_DAYS", String(days));
  return count;
}
