import type { FaultInput } from "./fault.ts";
import type { LimitInput } from "./limit.ts";
import type { LogEntry } from "./requestLog.ts";
import type { Scenario } from "./scenario.ts";
import type { Text } from "./wire.ts";

/** The stand-in of carriers and of services that send texts, as its owner steers it. Numbers nobody scripted are unknown to it. */
export interface Sandbox {
  readonly port: number;
  /** The carriers' APIs it speaks, by code. */
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
  /** The environment that sends texts through it: "twilio" or "sns". Throws for another. */
  textEnvironment(api: string): Readonly<Record<string, string>>;
  /** The texts it took, oldest first. */
  readonly texts: readonly Text[];
  /** Someone answers STOP from this phone: nothing more is sent there, by any service. */
  stop(number: string): void;
  readonly log: readonly LogEntry[];
  /** Hangs up on everybody. */
  close(): Promise<void>;
}
