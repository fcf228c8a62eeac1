import type { z } from "zod";
import type { LookupError, LookupFailure } from "../errors.ts";
import type { Secret } from "../secret.ts";

/** The stages of a parcel, as in `bookpost.parcel_statuses` (a test holds the two lists equal). */
export const PARCEL_STATUSES = [
  "pending",
  "pre_transit",
  "in_transit",
  "out_for_delivery",
  "available_for_pickup",
  "delivered",
  "exception",
  "return_to_sender",
  "cancelled",
  "unknown",
] as const;

export type ParcelStatus = (typeof PARCEL_STATUSES)[number];

/**
 * What an adapter's status table gives for one of the carrier's codes.
 * `no_change` marks a code that carries no stage (a photo was taken, a date
 * was moved): it is kept as an event and never changes the parcel's status.
 */
export type Stage = Exclude<ParcelStatus, "pending"> | "no_change";

/** How much of a time the carrier gave. A date stays a date. */
export type TimePrecision = "second" | "date";

/**
 * A moment as the carrier told it, with nothing invented.
 * - `occurredAt`: ISO instant in UTC ("2025-08-26T15:44:34Z"), or null where the carrier gave no offset.
 * - `localTime`: the wall clock there, "2025-08-26T08:44:34", or "2025-08-26" where only a date was given. Null where it is not known.
 * - `timeZone`: the evidence: an offset ("-07:00"), "UTC" or an IANA name; null where none was given.
 * - `rawTime`: the carrier's own text.
 * Of `occurredAt` and `localTime` at least one is there: a scan whose time cannot be read is dropped with a warning.
 */
export interface CarrierTime {
  readonly occurredAt: string | null;
  readonly localTime: string | null;
  readonly timeZone: string | null;
  readonly precision: TimePrecision;
  readonly rawTime: string;
}

/** One scan. Texts are already clean: NFC, no control or bidi characters, at most 500 characters. */
export interface TrackingEvent extends CarrierTime {
  /** Tells this scan from every other of the parcel; the same scan seen again has the same identity. At most 100 characters. */
  readonly identity: string;
  /** Null: the event carries no stage. */
  readonly status: ParcelStatus | null;
  readonly rawCode: string;
  /** False: the carrier's code is not in our table. Kept raw, listed for a person, never guessed; then `status` is null. */
  readonly isListed: boolean;
  readonly description: string | null;
  readonly location: string | null;
  readonly countryCode: string | null;
  readonly reasonCode: string | null;
  readonly isActionRequired: boolean;
}

/** When the carrier expects to deliver: first and latest, as wall time there ("2025-08-27" or "2025-08-27T14:00:00"). */
export interface DeliveryEstimate {
  readonly from: string;
  readonly until: string;
  readonly timeZone: string | null;
  readonly precision: TimePrecision;
}

/** What a carrier knows of one parcel. */
export interface Tracking {
  /** The carrier's current stage where no event tells it; the status of the newest event that carries a stage goes first. */
  readonly status: ParcelStatus | null;
  readonly rawStatus: string | null;
  readonly rawText: string | null;
  /** The carrier says the parcel is going back; delivered then means returned. */
  readonly isReturn: boolean;
  /** Oldest first, in the carrier's own order. */
  readonly events: readonly TrackingEvent[];
  readonly estimate: DeliveryEstimate | null;
  readonly signedBy: string | null;
  /** A public page the carrier named in its answer; https only. */
  readonly trackingUrl: string | null;
  /** What was odd and did no harm (an unlisted code, a dropped event): for the log and for a person. */
  readonly warnings: readonly string[];
}

/** Whom we ask about: a number, normalised, and who carries it. A carrier's own API knows the latter; an aggregator has to be told. */
export interface LookupSubject {
  readonly trackingNumber: string;
  readonly carrierCode: string;
}

/** One HTTP request that went out, tokens and registrations included: what an API's budget counts. */
export interface CarrierCall {
  readonly kind: "lookup" | "token" | "register";
  /** HTTP status, or null where no answer came. */
  readonly httpStatus: number | null;
  readonly startedAt: Date;
  readonly durationMs: number;
}

/** A lookup's end, whatever it was. `body` is what the carrier said (at most 64 KB), for evidence; null where nothing came. */
export type LookupResult = {
  readonly calls: readonly CarrierCall[];
  readonly body: string | null;
} & (
  | { readonly kind: "found"; readonly tracking: Tracking }
  | { readonly kind: "failed"; readonly error: LookupError }
);

/** Credential texts by the suffix of their environment variable: `CLIENT_ID` of `UPS_CLIENT_ID`. */
export type Credentials = Readonly<Record<string, Secret>>;

/**
 * A request in the carrier's own form. `path` joins the base URL; anything
 * user-written in it is already encoded. `accept` is JSON unless the headers say
 * otherwise, in lower case.
 */
export interface CarrierRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A complete answer within our limits of time and size. Header names are lower case. */
export interface CarrierResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly receivedAt: Date;
}

/** How requests prove who we are. */
export type Authentication =
  | { readonly kind: "header"; headers(credentials: Credentials): Record<string, string> }
  | {
      readonly kind: "oauth2";
      /** The token request, relative to the host of the base URL. */
      tokenRequest(credentials: Credentials): CarrierRequest;
      /** HTTP statuses by which the token service asks us to slow down, beside 429, and for how long. */
      readonly throttle?: { readonly statuses: readonly number[]; readonly waitMs: number };
    };

/**
 * One carrier's API, told as data and two pure functions. An adapter knows no
 * database, queue, environment or clock; shared code sends the request, holds
 * the limits, keeps the token and sorts the HTTP errors.
 */
export interface CarrierAdapter<Reply = unknown> {
  /** As in `bookpost.carrier_apis`; the file's name and the prefix of the environment variables. */
  readonly code: string;
  readonly name: string;
  /** Production base URL, https, without a trailing slash. `<CODE>_BASE_URL` replaces it. */
  readonly baseUrl: string;
  /** Suffix of the environment variable → what it is, for people. All are required. */
  readonly credentials: Readonly<Record<string, string>>;
  readonly authentication: Authentication;
  /** How many numbers one request may ask about; 1 unless said. `bookpost.carrier_apis.batch_size` is the same number. */
  readonly batchSize?: number;
  /**
   * Error codes that refuse numbers for standing in one request together, or
   * for one among them without saying which: nothing is said of any of them.
   * Met once, this process asks about one number at a time.
   */
  readonly batchFaults?: readonly string[];
  /** What the answer is written in; JSON unless said. XML is handed to `errorCode` and `reply` as objects (see readXml.ts). */
  readonly format?: "json" | "xml";
  /**
   * Asks about 1 to `batchSize` subjects. May throw `Rejected` for a subject it
   * cannot ask about (an aggregator that does not know the carrier).
   */
  request(subjects: readonly LookupSubject[]): CarrierRequest;
  /**
   * Where an aggregator must be told of a parcel first: the request for that.
   * Sent once, when `parse` throws `NotRegistered`; the lookup then ends as not
   * found, and the next one finds what the aggregator has learnt meanwhile.
   */
  register?(subject: LookupSubject): CarrierRequest;
  readonly reply: z.ZodType<Reply>;
  /** The carrier's codes → our stages, as data. */
  readonly stages: Readonly<Record<string, Stage>>;
  /**
   * The carrier's own error code inside an answer, whatever its HTTP status;
   * null where the answer carries none. `body` is the decoded answer, unchecked.
   */
  errorCode?(body: unknown): string | null;
  /**
   * What one of the carrier's error codes means where the HTTP status does not
   * say it. Codes left out: a 2xx with an error inside is malformed, anything
   * else follows the shared table (401/403 rejected, 404 not found, 429 rate
   * limited, 5xx unavailable, other 4xx rejected, 3xx malformed).
   */
  readonly outcomes?: Readonly<Record<string, LookupFailure>>;
  /** The header, in lower case, by which a refusal for too many calls names its end in Unix seconds; read where there is no Retry-After. */
  readonly resetHeader?: string;
  /**
   * What the answer says of one of the subjects that were asked about. Throws
   * what is true of this one number alone (`NotFound`, `NotRegistered`,
   * `Rejected`, `Unavailable` …) or `Malformed`; never anything else on a reply
   * that passed the schema.
   */
  parse(reply: Reply, subject: LookupSubject): Tracking;
}
