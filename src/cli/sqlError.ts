import { mapDatabaseError } from "../db/mapDatabaseError.ts";
import { BookpostError, UsageError } from "../errors.ts";

interface PostgresError extends Error {
  readonly code?: string;
  readonly position?: string;
  readonly hint?: string;
}

const READ_ONLY = "25006";
const NOT_ALLOWED = "42501";
/** Classes whose errors speak of the person's own values and rows: Postgres's words are the best there are. */
const ABOUT_THE_DATA = /^(2|P0|0A)/;

/** What went wrong with SQL that a person wrote: their words, so their place in them, not our idea of the schema. */
export function sqlError(
  error: unknown,
  query: string,
  { isWriting }: { readonly isWriting: boolean },
): unknown {
  const { code = "", message, position, hint } = error as PostgresError;
  const way = hint ? ` ${hint}` : "";
  if (code === READ_ONLY && !isWriting)
    return new UsageError("READ_ONLY", `This would change something (${message}): add --write.`, {
      cause: error,
    });
  // Class 42: it does not parse, or names what is not there.
  if (/^42/.test(code) && code !== NOT_ALLOWED)
    return new UsageError(
      "BAD_SQL",
      `Postgres does not understand it: ${message}${place(query, position)}.${way}`,
      { cause: error },
    );
  if (ABOUT_THE_DATA.test(code) && code !== READ_ONLY)
    return new BookpostError("SQL_FAILED", `Postgres says: ${message}.${way}`, { cause: error });
  return mapDatabaseError(error);
}

/** Postgres counts characters from 1 over the whole text. */
function place(query: string, position: string | undefined): string {
  if (position === undefined) return "";
  const before = [...query].slice(0, Number(position) - 1).join("");
  const lines = before.split("\n");
  return ` (line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1})`;
}
