import type { LookupError } from "../errors.ts";
import type { SendFailure } from "./channel.ts";

/** Codes of Node and undici for an exchange that came to no connection, or to one that was not trusted: nothing went out. */
const UNCONNECTED =
  /^(ECONNREFUSED|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_\w+|ERR_SSL_\w+|UNABLE_TO_\w+|\w*CERT\w*)$/;

/** How handing a text over by HTTP ended where no answer could be read: `unanswered` unless nothing can have gone out. */
export function exchangeFailure({ outcome, code }: LookupError): SendFailure {
  if (outcome === "local") return "local";
  return UNCONNECTED.test(code) ? "unavailable" : "unanswered";
}
