import { createHash } from "node:crypto";
import type { CarrierTime, Stage, TrackingEvent } from "./carrier.ts";
import { cleanText } from "./cleanText.ts";

/** Ten times what carriers keep of a parcel (USPS: 99 scans), so that no answer floods the database. Chosen. */
const MAX_EVENTS = 1_000;

/** One scan as an adapter read it, before it is cleaned. */
export interface Scan {
  /** Null: no real date could be read; the scan is dropped with a warning. */
  readonly time: CarrierTime | null;
  /** What stands for the time in the identity and in a warning. */
  readonly rawTime: string;
  readonly rawCode: string;
  /** Undefined: the code is not in the adapter's table. */
  readonly stage: Stage | undefined;
  readonly description?: string | null | undefined;
  readonly location?: string | null | undefined;
  readonly countryCode?: string | null | undefined;
  readonly reasonCode?: string | null | undefined;
  readonly isActionRequired?: boolean;
  /** What was odd about it and did no harm. */
  readonly warning?: string | null;
  /** What else tells two scans of one second and place apart, in the carrier's own words. */
  readonly distinction?: string | null | undefined;
}

/**
 * Makes events of one answer's scans. Takes and keeps the order oldest first;
 * the same scan told twice is one event. Scans without a real date are dropped
 * and unlisted codes kept without a stage, each with a warning.
 */
export function eventsFromScans(scans: readonly Scan[]): {
  readonly events: TrackingEvent[];
  readonly warnings: string[];
} {
  const events = new Map<string, TrackingEvent>();
  const warnings = new Set<string>();
  if (scans.length > MAX_EVENTS)
    warnings.add(`the answer has ${scans.length} scans; the newest ${MAX_EVENTS} were read`);
  for (const scan of scans.slice(-MAX_EVENTS)) {
    const warning = cleanText(scan.warning);
    if (warning !== null) warnings.add(warning);
    const rawCode = cleanText(scan.rawCode)?.slice(0, 100) ?? "none";
    if (scan.time === null) {
      warnings.add(
        `dropped a scan (${rawCode}): "${cleanText(scan.rawTime) ?? ""}" is no real date`,
      );
      continue;
    }
    if (scan.stage === undefined) warnings.add(unlisted(rawCode));
    const identity = scanIdentity(scan);
    if (events.has(identity)) continue;
    events.set(identity, {
      ...scan.time,
      rawTime: cleanText(scan.time.rawTime) ?? "",
      identity,
      status: scan.stage === undefined || scan.stage === "no_change" ? null : scan.stage,
      rawCode,
      isListed: scan.stage !== undefined,
      description: cleanText(scan.description),
      location: cleanText(scan.location),
      countryCode: countryCode(scan.countryCode),
      reasonCode: cleanText(scan.reasonCode)?.slice(0, 100) ?? null,
      isActionRequired: scan.isActionRequired ?? false,
    });
  }
  return { events: [...events.values()], warnings: [...warnings] };
}

/** The one sentence for a code that no table has, so that a log can be searched for it. */
export function unlisted(rawCode: string): string {
  return `status code "${rawCode}" is not listed`;
}

/**
 * Over the carrier's raw words, never over what we make of them: a better
 * table or a longer text must not turn an old scan into a new one.
 */
function scanIdentity(scan: Scan): string {
  const parts = [scan.rawTime, scan.rawCode, scan.location ?? "", scan.distinction ?? ""];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

function countryCode(text: string | null | undefined): string | null {
  const code = text?.trim().toUpperCase() ?? "";
  return /^[A-Z]{2}$/.test(code) ? code : null;
}
