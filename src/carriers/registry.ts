import type { CarrierAdapter } from "./carrier.ts";
import { dhl } from "./dhl.ts";
import { ups } from "./ups.ts";

/** Every carrier API that can be asked, in the order people see them. One line each. */
export const adapters: readonly CarrierAdapter[] = [ups, dhl];

/** The adapter with this code, or null where no API answers to it. */
export function adapterFor(code: string): CarrierAdapter | null {
  return adapters.find((adapter) => adapter.code === code) ?? null;
}
