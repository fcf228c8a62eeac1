import { UsageError } from "../errors.ts";

/** Chosen: what a person can still page through; sql has no limit. */
const MOST = 10_000;

/** The text of --limit as a number. @throws UsageError BAD_LIMIT */
export function parseLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MOST)
    throw new UsageError(
      "BAD_LIMIT",
      `--limit must be a whole number from 1 to ${MOST}; "${text}" is not.`,
    );
  return limit;
}
