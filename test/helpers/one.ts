import type { QueryResultRow } from "pg";
import type { Queryable } from "../../src/db/withTransaction.ts";

/** The one row of a query; fails on none and on several. */
export async function one<Row extends QueryResultRow>(
  db: Queryable,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row> {
  const { rows } = await db.query<Row>(sql, [...values]);
  const [row] = rows;
  if (!row || rows.length > 1) throw new Error(`expected one row, got ${rows.length}: ${sql}`);
  return row;
}
