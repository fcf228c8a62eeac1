import { makeSchema } from "postgraphile";
import { lexicographicSortSchema, printSchema } from "postgraphile/graphql";
import { createPool } from "../db/pool.ts";
import { createApiService } from "./apiService.ts";
import { apiPreset } from "./preset.ts";

/**
 * The GraphQL schema that the API makes of this (migrated) database, sorted, so
 * that it is the same text every time. `databaseUrl` may be anyone who can
 * become bookpost_operator.
 */
export async function printApiSchema(databaseUrl: string): Promise<string> {
  const pool = createPool(databaseUrl, "api", { max: 1 });
  try {
    const { schema } = await makeSchema({
      extends: [apiPreset],
      pgServices: [createApiService(pool)],
    });
    return `${printSchema(lexicographicSortSchema(schema))}\n`;
  } finally {
    await pool.end();
  }
}
