/** A time of our own, to the second: "2025-08-26 15:44:34 UTC". */
export function utc(instant: Date): string {
  return `${instant.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
] as const;

/** 5,400,000 → "90 minutes"; a unit is used from two of it on (or nearly), so that nothing is rounded far. */
export function duration(ms: number): string {
  const length = Math.abs(ms);
  const [unit, size] =
    UNITS.find(([, size]) => length >= 1.95 * size) ?? (["second", 1000] as const);
  const count = Math.round(length / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** "in 12 minutes", "3 hours ago", "now". */
export function fromNow(instant: Date, now = new Date()): string {
  const ms = instant.getTime() - now.getTime();
  if (Math.abs(ms) < 1000) return "now";
  return ms > 0 ? `in ${duration(ms)}` : `${duration(ms)} ago`;
}

/** "in 12 minutes (2025-08-26 15:44:34 UTC)" */
export function fromNowAndUtc(instant: Date): string {
  return `${fromNow(instant)} (${utc(instant)})`;
}
