import { BookpostError, UsageError } from "../errors.ts";

/** What a node-postgres error carries that we use. */
export interface DatabaseErrorFields {
  readonly code?: string;
  readonly message: string;
  readonly hint?: string;
  readonly constraint?: string;
}

/** Our own SQLSTATEs, as raised by the functions in `migrations/` (listed in migrations/README.md). */
export const OUR_SQLSTATES = {
  BP400: "BAD_INPUT",
  BP404: "NOT_FOUND",
  BP409: "CONFLICT",
  BP410: "CURSOR_EXPIRED",
} as const;

const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "57P03",
]);

function isDatabaseError(error: unknown): error is Error & DatabaseErrorFields {
  return error instanceof Error && typeof (error as DatabaseErrorFields).code === "string";
}

/**
 * Turns an error of Postgres or of the way to it into one that a person can
 * act on. What is ours already, or not from the database, comes back as it is.
 */
export function mapDatabaseError(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0)
    return mapDatabaseError(error.errors[0]);
  // pg has no codes for these two.
  if (error instanceof Error && /^(timeout exceeded|Connection terminated)/.test(error.message))
    return unreachable(error);
  if (!isDatabaseError(error)) return error;
  const code = error.code ?? "";
  if (code in OUR_SQLSTATES) {
    const message = error.hint ? `${error.message} ${error.hint}` : error.message;
    const name = OUR_SQLSTATES[code as keyof typeof OUR_SQLSTATES];
    return name === "CONFLICT"
      ? new BookpostError(name, message, { cause: error })
      : new UsageError(name, message, { cause: error });
  }
  if (UNREACHABLE.has(code)) return unreachable(error);
  if (code === "3D000" || code === "28P01" || code === "28000")
    return new BookpostError(
      "DATABASE_REFUSED",
      `Postgres refused the connection: ${error.message}. Check DATABASE_URL.`,
      { cause: error },
    );
  if (code === "42P01" || code === "3F000" || code === "42883")
    return new BookpostError(
      "NOT_MIGRATED",
      `The database has no bookpost schema, or an older one (${error.message}). Run: npx bookpost migrate`,
      { cause: error },
    );
  if ((code === "23514" || code === "23502") && error.constraint)
    // Constraints are named after the rule they state.
    return new UsageError(
      "BAD_INPUT",
      `The database refused it, because it breaks this rule: ${error.constraint.replaceAll("_", " ")}.`,
      { cause: error },
    );
  // Class 22: a value that cannot be read as what it should be, or does not fit.
  if (/^22/.test(code))
    return new UsageError("BAD_INPUT", `The database cannot take a value: ${error.message}.`, {
      cause: error,
    });
  const trouble = TROUBLES[code];
  return trouble === undefined
    ? error
    : new BookpostError(trouble.code, `${trouble.sentence} Postgres says: ${error.message}.`, {
        cause: error,
      });
}

/** What the server may say at any time, and the way out. Codes: Postgres's manual, appendix A. */
const TROUBLES: Readonly<Record<string, { readonly code: string; readonly sentence: string }>> = {
  "25006": {
    code: "READ_ONLY",
    sentence: "This Postgres does not take writes; point DATABASE_URL at the primary.",
  },
  "42501": {
    code: "NOT_ALLOWED",
    sentence: "This login may not do that; npx bookpost doctor tells what it lacks.",
  },
  "53300": {
    code: "DATABASE_FULL",
    sentence: "Postgres has no connection left; end some or raise max_connections.",
  },
  "55P03": {
    code: "LOCKED",
    sentence: "Somebody else is changing the same rows; try again in a moment.",
  },
  "57014": {
    code: "TOOK_TOO_LONG",
    sentence: "Postgres took too long and was told to stop.",
  },
  "57P01": {
    code: "DATABASE_UNREACHABLE",
    sentence: "Postgres was stopped in the middle of it; try again when it is back.",
  },
};

function unreachable(cause: Error): BookpostError {
  return new BookpostError(
    "DATABASE_UNREACHABLE",
    "Postgres does not answer. Check DATABASE_URL, or start the embedded one with: npm start",
    { cause },
  );
}
