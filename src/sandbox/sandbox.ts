import type { FaultInput } from "./fault.ts";
import type { LimitInput } from "./limit.ts";
import type { LogEntry } from "./requestLog.ts";
import type { Scenario } from "./scenario.ts";

/** The carriers' stand-in, as its owner steers it. Numbers nobody scripted are unknown to it. */
export interface Sandbox {
  readonly port: number;
  /** The APIs it speaks, by code. */
  readonly apis: readonly string[];
  /** What `<CODE>_BASE_URL` has to be; throws for an API the sandbox does not speak. */
  url(api: string): string;
  /** The credentials it lets in, by suffix of the environment variable. */
  credentials(api: string): Readonly<Record<string, string>>;
  script(number: string, scenario: Scenario): void;
  /** Shows more of a parcel's scans, one unless told otherwise. Throws for a number nobody scripted. */
  advance(number: string, count?: number): void;
  /** From now on requests that fit go wrong. */
  fault(fault: FaultInput): void;
  clearFaults(): void;
  /** From now on a request of the API that breaks this limit is answered 429, in the API's own words. Throws for an API the sandbox does not speak. */
  limit(limit: LimitInput): void;
  clearLimits(): void;
  /** Withdraws all tokens before their time. */
  expireTokens(): void;
  readonly log: readonly LogEntry[];
  /** Hangs up on everybody. */
  close(): Promise<void>;
}
