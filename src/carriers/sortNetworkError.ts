import { errors } from "undici";
import {
  isLookupError,
  LocalTrouble,
  type LookupError,
  Malformed,
  Unavailable,
} from "../errors.ts";

/** Faults of our own side: the carrier was never reached, so they say nothing about it. */
const LOCAL: Readonly<Record<string, string>> = {
  ENOTFOUND: "its host name could not be resolved",
  EAI_AGAIN: "no name server answered",
  ENETUNREACH: "there is no route to it",
  EHOSTUNREACH: "there is no route to it",
  ENETDOWN: "the network is down",
  EMFILE: "this process has too many open files",
  ENFILE: "this machine has too many open files",
  EADDRNOTAVAIL: "this machine has no free port",
  PRIVATE_ADDRESS: "its host name leads to a private address",
  UND_ERR_INVALID_ARG:
    "our request cannot be sent as it is; look for stray characters in the credentials",
  UND_ERR_CLOSED: "we are shutting down",
  UND_ERR_DESTROYED: "we are shutting down",
};

/** The carrier answered, and what came is not as HTTP, gzip or brotli have it. */
const GARBAGE = /^(NOT_HTTP|UND_ERR_HEADERS_OVERFLOW|Z_DATA_ERROR|ERR__ERROR_FORMAT.*)$/;

/** Known troubles of the carrier, for the sentence only: everything not listed above is the carrier's. */
const UNAVAILABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "it refused the connection",
  ECONNRESET: "it broke off the connection",
  EPIPE: "it broke off the connection",
  UND_ERR_SOCKET: "it broke off the connection",
  ETIMEDOUT: "the connection could not be made in time",
  UND_ERR_CONNECT_TIMEOUT: "the connection could not be made in time",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "its answer was cut short",
  Z_BUF_ERROR: "its answer was cut short",
};

/**
 * Says whose trouble a failed exchange was. Where several addresses were tried,
 * it is ours only if it is ours for each of them.
 */
export function sortNetworkError(cause: unknown, carrierName: string): LookupError {
  if (isLookupError(cause)) return cause;
  const codes = codesOf(cause);
  const foreign = codes.find((code) => !Object.hasOwn(LOCAL, code));
  const code = foreign ?? codes[0] ?? "NETWORK";
  const sentence = (why: string) => `${carrierName} could not be asked: ${why} (${code}).`;
  if (foreign === undefined && codes.length > 0)
    return new LocalTrouble(code, sentence(LOCAL[code] ?? ""), { cause });
  // No cause: the parser's error quotes what it could not read, which may be anybody's address.
  if (GARBAGE.test(code)) return new Malformed(code, sentence("what it sent could not be read"));
  return new Unavailable(code, sentence(UNAVAILABLE[code] ?? "the exchange failed"), { cause });
}

/** Node gathers the failures of several addresses in one AggregateError; undici's HTTP parser gives its errors no code (7.30). */
function codesOf(error: unknown): string[] {
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.flatMap(codesOf);
  if (error instanceof errors.HTTPParserError) return ["NOT_HTTP"];
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? [code] : [];
}
