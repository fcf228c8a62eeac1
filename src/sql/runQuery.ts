import type { Queryable } from "../db/withTransaction.ts";

/** One statement's result; values as Postgres writes them, null as null. */
export interface QueryResult {
  readonly command: string;
  readonly rowCount: number | null;
  readonly columns: readonly { readonly name: string; readonly typeId: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

const AS_TEXT = { getTypeParser: () => (text: string) => text };

interface ArrayResult {
  readonly command: string;
  readonly rowCount: number | null;
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

/**
 * Runs what a person wrote: one or more statements, all of them or none.
 * Read-only unless `isWriting`; that is the session's default, so that a
 * `commit` among the statements does not end it. It guards against accidents,
 * not against someone who sets it back.
 */
export async function runQuery(
  db: Queryable,
  text: string,
  options: { readonly isWriting: boolean },
): Promise<QueryResult[]> {
  await db.query(`set default_transaction_read_only = ${options.isWriting ? "off" : "on"}`);
  const answer: unknown = await db.query({ text, rowMode: "array", types: AS_TEXT } as never);
  return ([answer].flat() as ArrayResult[]).map(({ command, rowCount, fields, rows }) => ({
    command,
    rowCount,
    columns: fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
    rows,
  }));
}
