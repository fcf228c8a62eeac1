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
  route(
    request: WireRequest,
  ): { readonly kind: "token" | "lookup"; readonly number: string | null } | null;
  /** The right answer to a request that `route` took. */
  answer(
    request: WireRequest,
    context: {
      readonly number: string | null;
      readonly show: (number: string) => VisibleParcel | null;
      readonly tokens: Tokens;
    },
  ): WireReply;
  /** An error as this API words it. */
  error(status: number): WireReply;
}
