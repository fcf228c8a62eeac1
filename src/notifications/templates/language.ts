import type { News } from "../message.ts";

/** What a sentence is made of. The texts are made inert by the sentence. */
export type Told = Pick<
  News,
  | "kind"
  | "status"
  | "detail"
  | "estimatedFrom"
  | "estimatedUntil"
  | "estimatedTimeZone"
  | "isEstimateADate"
> & { readonly book: { readonly title: string } };

/**
 * All words that people are told in one language. A new one is a file like
 * `en.ts` and a line in `languages.ts`. Texts that come in are inert already.
 */
export interface Language {
  /** BCP 47, without a region where it serves all of them. */
  readonly tag: string;
  /** For dates, where the person's own tag names no region. */
  readonly locale: string;
  /** Of a status, in words; a code it does not know comes out with spaces. */
  status(code: string): string;
  readonly sentences: {
    stage(title: string, status: string): string;
    delivered(title: string): string;
    exception(title: string, detail: string | null): string;
    actionRequired(title: string, detail: string | null): string;
    estimate(title: string, expected: string | null): string;
    /** Several books in one parcel, of which the first is named. */
    together(count: number, title: string, status: string): string;
    /** News of several books that do not share one sentence. */
    several(count: number): string;
    more(count: number): string;
    test(): string;
    verification(code: string): string;
    endpointDisabled(): string;
  };
  readonly labels: Readonly<
    Record<
      | "status"
      | "place"
      | "time"
      | "estimate"
      | "detail"
      | "carrier"
      | "trackingNumber"
      | "page"
      | "webhook"
      | "description",
      string
    >
  >;
  /** The page of a public link. */
  readonly sharedPage: {
    title(): string;
    /** For a token that nobody has, and a link that is over: the same words. */
    unknown(): string;
    since(): string;
    delivered(): string;
    lastScan(): string;
    worksUntil(): string;
  };
  /** What became of an endpoint, and the way out. */
  endpointReason(reason: string | null): string;
  /** A wall clock's time, of which nobody said the zone. */
  localTimeThere(time: string): string;
  range(from: string, until: string): string;
  why(): string;
  unsubscribe(): string;
}
