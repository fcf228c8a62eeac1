import type { PgClient } from "postgraphile/@dataplan/pg";
import type { Queryable } from "../db/withTransaction.ts";

/** PostGraphile's client, in the transaction and under the settings of its request, as our statements take one. */
export function queryableOf(client: PgClient): Queryable {
  const query = (text: string, values: unknown[] = []) => client.query({ text, values });
  return { query } as unknown as Queryable;
}
