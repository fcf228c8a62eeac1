import { randomUUID } from "node:crypto";
import { isSafeError } from "postgraphile/grafast";
import { GraphQLError } from "postgraphile/graphql";
import {
  type DatabaseErrorFields,
  mapDatabaseError,
  OUR_SQLSTATES,
} from "../db/mapDatabaseError.ts";
import { BookpostError } from "../errors.ts";
import { withoutSuggestion } from "./documentCheck.ts";

type Code =
  | "BAD_INPUT"
  | "CONFLICT"
  | "FORBIDDEN"
  | "RETRY"
  | "TIMEOUT"
  | "UNAVAILABLE"
  | "INTERNAL";

/** What a client is told. The text of Postgres stays here: it has values, names and SQL in it. */
const SENTENCES: Readonly<Record<Code, string>> = {
  BAD_INPUT: "A value was refused.",
  CONFLICT: "That exists already.",
  FORBIDDEN: "You may not see or do this. It may need a token, or another role.",
  RETRY: "Something changed meanwhile. Ask again.",
  TIMEOUT: "It took too long. Ask for less.",
  UNAVAILABLE: "The database does not answer now. Ask again later.",
  INTERNAL: "Something went wrong on our side.",
};

/** SQLSTATE, or its first two characters, → code. Postgres' manual, appendix A. */
const BY_SQLSTATE: Readonly<Record<string, Code>> = {
  "22": "BAD_INPUT",
  "23502": "BAD_INPUT",
  "23503": "BAD_INPUT",
  "23505": "CONFLICT",
  "23514": "BAD_INPUT",
  "40001": "RETRY",
  "40P01": "RETRY",
  "42501": "FORBIDDEN",
  "55P03": "RETRY",
  "57014": "TIMEOUT",
  // A column was altered under a prepared statement; the pool gives the next request another connection.
  "0A000": "RETRY",
  "08": "UNAVAILABLE",
  "53": "UNAVAILABLE",
  "57": "UNAVAILABLE",
};

/** Mistakes of a request that PostGraphile throws as plain errors, in its own words. */
const CLIENT_MISTAKES: readonly (readonly [RegExp, string])[] = [
  [/^Null literals are forbidden/, 'A filter\'s value may not be null; use "isNull".'],
  [/^Empty objects are forbidden/, "A filter may not be empty; leave it out."],
];

/** As graphql-js begins its sentence: `Variable "$id" got invalid value …`. */
const BAD_VARIABLE = /^Variable "\$/;

/** For people's eyes: which error, of what kind. Never a value, a document or SQL. */
export type LogError = (sentence: string) => void;

function say(
  error: GraphQLError,
  message: string,
  extensions: Readonly<Record<string, unknown>>,
): GraphQLError {
  const { nodes, source, positions, path } = error;
  return new GraphQLError(message, { nodes, source, positions, path, extensions });
}

function codeOf(cause: Error & DatabaseErrorFields): Code {
  const sqlstate = cause.code ?? "";
  const code = BY_SQLSTATE[sqlstate] ?? BY_SQLSTATE[sqlstate.slice(0, 2)];
  if (code) return code;
  const mapped = mapDatabaseError(cause);
  const isAway = mapped instanceof BookpostError && mapped.code.startsWith("DATABASE_");
  return isAway ? "UNAVAILABLE" : "INTERNAL";
}

/**
 * Decides what a client may know of an error: our own sentences and those meant
 * for it pass, everything else becomes one of a few codes with a sentence of
 * ours. What people should look at is logged under an id that the client gets too.
 */
export function createMaskError(log: LogError): (error: GraphQLError) => GraphQLError {
  return (error) => {
    const cause = error.originalError as (Error & DatabaseErrorFields) | undefined | null;
    if (cause === undefined || cause === null || cause instanceof GraphQLError) {
      // GraphQL's own have no code: a variable that its type refuses, an operation that the document does not have.
      const code = BAD_VARIABLE.test(error.message) ? "BAD_INPUT" : "BAD_REQUEST";
      const isOfRequest = error.path === undefined;
      return say(error, withoutSuggestion(error.message), {
        ...(isOfRequest && { code }),
        ...error.extensions,
      });
    }
    // Those of the libraries have no code: a cursor that is none, for one.
    if (isSafeError(cause))
      return say(error, cause.message, { code: "BAD_INPUT", ...cause.extensions });
    const ours = OUR_SQLSTATES[cause.code as keyof typeof OUR_SQLSTATES];
    if (ours)
      return say(error, cause.message, { code: ours, ...(cause.hint && { hint: cause.hint }) });
    const mistake = CLIENT_MISTAKES.find(([pattern]) => pattern.test(cause.message));
    if (mistake) return say(error, mistake[1], { code: "BAD_INPUT" });

    const code = codeOf(cause);
    if (code !== "INTERNAL" && code !== "TIMEOUT" && code !== "UNAVAILABLE")
      return say(error, SENTENCES[code], { code });
    const id = randomUUID();
    const where = error.path?.join(".") ?? "the request";
    log(`API error ${id}: ${code} at ${where}: ${describe(cause)}`);
    return say(error, SENTENCES[code], { code, id });
  };
}

/** Postgres' message may have a value in it, so of its errors only the names are told. */
function describe(cause: Error & DatabaseErrorFields): string {
  if (cause.code !== undefined)
    return `${cause.name} ${cause.code} ${cause.constraint ?? ""}`.trim();
  return cause.stack ?? cause.message;
}
