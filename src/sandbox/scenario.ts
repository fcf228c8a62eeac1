import { z } from "zod";

/** What a scripted scan means. Each API says it in its own codes; one that has no code for it says the nearest it has. */
export const SCAN_STAGES = [
  "pre_transit",
  "in_transit",
  "out_for_delivery",
  "available_for_pickup",
  "delivered",
  "exception",
  "return_to_sender",
  "cancelled",
  /** A scan that carries no stage. */
  "no_change",
  /** A code that no document lists. */
  "unlisted",
] as const;

const step = z.strictObject({
  stage: z.enum(SCAN_STAGES),
  /** "2025-08-26T08:44:34-07:00", or without an offset as some scans come. */
  at: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)?$/),
  text: z.string().optional(),
  city: z.string().optional(),
  region: z.string().optional(),
  country: z.string().optional(),
  /** Shows by itself this long after scripting; without it, `advance` shows it. */
  afterMs: z.int().min(0).optional(),
});

export const scenarioSchema = z.strictObject({
  /** Oldest first. */
  steps: z.array(step).readonly(),
  /** How many are seen at once; chosen 1, so that a number known to the sandbox is known to the carrier. */
  shown: z.int().min(0).default(1),
  signedBy: z.string().optional(),
  /** "2025-08-27" */
  estimatedDelivery: z.iso.date().optional(),
});

/** One parcel's story. */
export type Scenario = z.input<typeof scenarioSchema>;
export type Step = z.output<typeof step>;

/** What the carrier would show of a parcel now. */
export interface VisibleParcel {
  readonly number: string;
  readonly steps: readonly Step[];
  readonly signedBy: string | undefined;
  readonly estimatedDelivery: string | undefined;
}

/** The scripted parcels by number. A number nobody scripted, or with nothing to show yet, is unknown. */
export function createScenarios() {
  const parcels = new Map<
    string,
    { scenario: z.output<typeof scenarioSchema>; shown: number; sinceMs: number }
  >();
  return {
    script(number: string, scenario: Scenario): void {
      const parsed = scenarioSchema.parse(scenario);
      parcels.set(number, { scenario: parsed, shown: parsed.shown, sinceMs: Date.now() });
    },
    /** Shows `count` more scans; false where the number is not scripted. */
    advance(number: string, count = 1): boolean {
      const parcel = parcels.get(number);
      if (parcel === undefined) return false;
      parcel.shown = Math.min(parcel.shown + count, parcel.scenario.steps.length);
      return true;
    },
    show(number: string): VisibleParcel | null {
      const parcel = parcels.get(number);
      if (parcel === undefined) return null;
      const { scenario, sinceMs } = parcel;
      const elapsedMs = Date.now() - sinceMs;
      const due = scenario.steps.findLastIndex(
        ({ afterMs }) => afterMs !== undefined && afterMs <= elapsedMs,
      );
      const steps = scenario.steps.slice(0, Math.max(parcel.shown, due + 1));
      if (steps.length === 0) return null;
      const { signedBy, estimatedDelivery } = scenario;
      return { number, steps, signedBy, estimatedDelivery };
    },
  };
}

export type Scenarios = ReturnType<typeof createScenarios>;
