import type { VisibleParcel } from "./scenario.ts";
import type { Tokens } from "./tokens.ts";

/** A request as the wire formats see it. */
export interface WireRequest {
  readonly method: string;
  readonly url: URL;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** What a request is after. */
export interface Route {
  readonly kind: "token" | "lookup" | "register";
  /** The first number, by which faults find the request. */
  readonly number: string | null;
  /** Where the API takes many numbers at once: all of them. */
  readonly numbers?: readonly string[];
}

export interface WireReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object goes out as JSON. */
  readonly body: string | object;
}

/** One carrier API as seen from outside: where it lives, whom it lets in and what it says. */
export interface Wire {
  readonly api: string;
  /** The path of its base URL. */
  readonly basePath: string;
  /** By suffix of the environment variable; whoever shows these is let in. */
  readonly credentials: Readonly<Record<string, string>>;
  /** What a request is after; null where it is for another API. */
  route(request: WireRequest): Route | null;
  /** The right answer to a request that `route` took. */
  answer(
    request: WireRequest,
    context: {
      readonly number: string | null;
      /** All numbers that were asked about; more than one only where the API takes many. */
      readonly numbers: readonly string[];
      readonly show: (number: string) => VisibleParcel | null;
      readonly tokens: Tokens;
      /** What an aggregator has been told of, to read and to add to: "<api> <number>". Scripted numbers count as told. */
      readonly registered: Set<string>;
    },
  ): WireReply;
  /** An error as this API words it. */
  error(status: number): WireReply;
}
