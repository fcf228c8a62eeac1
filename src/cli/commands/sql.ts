import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { type QueryResult, runQuery } from "../../sql/runQuery.ts";
import type { CliContext } from "../context.ts";
import { sqlError } from "../sqlError.ts";
import { table } from "../table.ts";

export function sqlCommand(context: CliContext): Command {
  return new Command("sql")
    .description("run SQL on the database in use; read-only unless --write")
    .argument("<query>", "one or more statements: all of them happen, or none")
    .option("--write", "allow changes")
    .addHelpText(
      "after",
      "\nWith --json: the rows as an array of objects; of several statements, an array of such arrays.",
    )
    .action((query: string, { write }: { write?: boolean }) => {
      if (query.trim() === "")
        throw new UsageError("NO_QUERY", "There is no query: npx bookpost sql 'select 1'.");
      return context.withDatabase(async (db) => {
        const options = { isWriting: write === true };
        const results = await runQuery(db, query, options).catch((error: unknown) => {
          throw sqlError(error, query, options);
        });
        const json = results.map(toObjects);
        context.print({
          json: json.length === 1 ? json[0] : json,
          text: (width) => results.map((result) => resultText(result, width)).join("\n\n"),
        });
      });
    });
}

function resultText({ command, rowCount, columns, rows }: QueryResult, width: number): string {
  if (columns.length === 0)
    return `${command}${rowCount === null ? "" : `, ${rowCount} ${rowCount === 1 ? "row" : "rows"}`}.`;
  const shape = columns.map((column, i) => ({
    title: column.name,
    of: (row: readonly (string | null)[]) => row[i],
    isFree: true,
    ...(NUMBERS.has(column.typeId) ? { align: "right" as const } : {}),
  }));
  return `${table(shape, rows, width)}\n${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
}

// Type ids of pg_catalog.pg_type, which never change.
const [BOOL, INT8, INT2, INT4, JSON_TYPE, FLOAT4, FLOAT8, NUMERIC, JSONB] = [
  16, 20, 21, 23, 114, 700, 701, 1700, 3802,
];
const NUMBERS = new Set([INT8, INT2, INT4, FLOAT4, FLOAT8, NUMERIC]);
/** numeric is not among them: 1.50 is not 1.5 to the one who asks. */
const JSON_NUMBERS = new Set([INT8, INT2, INT4, FLOAT4, FLOAT8]);

function toObjects({ columns, rows }: QueryResult): Record<string, unknown>[] {
  return rows.map((row) =>
    Object.fromEntries(columns.map(({ name, typeId }, i) => [name, toValue(row[i], typeId)])),
  );
}

/** Numbers that JSON can hold exactly, booleans and JSON as themselves; all else as Postgres writes it. */
function toValue(text: string | null | undefined, typeId: number): unknown {
  if (text === null || text === undefined) return null;
  if (typeId === BOOL) return text === "t";
  if (typeId === JSON_TYPE || typeId === JSONB) return JSON.parse(text);
  if (JSON_NUMBERS.has(typeId) && String(Number(text)) === text) return Number(text);
  return text;
}
