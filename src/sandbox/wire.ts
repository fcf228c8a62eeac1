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
  readonly kind: "token" | "lookup" | "register" | "message";
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
  /** An error as this API words it; `code` is the API's own, where it has some. */
  error(status: number, code?: string): WireReply;
}

/** One text message that was taken. */
export interface Text {
  readonly api: string;
  /** What the answer called it. */
  readonly id: string;
  readonly from: string | null;
  readonly to: string;
  readonly body: string;
}

/** A service that sends texts. */
export interface TextWire extends Omit<Wire, "answer"> {
  /** The environment of whoever is to send through it. */
  environment(url: string): Readonly<Record<string, string>>;
  answer(
    request: WireRequest,
    context: {
      /** Takes a text; the id is its answer's to name. */
      readonly take: (text: Omit<Text, "api">) => void;
      /** Whether this phone has answered STOP. */
      readonly isStopped: (number: string) => boolean;
    },
  ): WireReply;
}
