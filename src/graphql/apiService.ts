import type pg from "pg";
import { makePgService } from "postgraphile/adaptors/pg";

/**
 * The database as PostGraphile sees it: our pool, the one schema that is for
 * people. It is read as the operator, because the login by itself may read
 * nothing, and because hers is the union of what the API's roles may see: so
 * the schema is the same whoever logs in.
 */
export function createApiService(pool: pg.Pool): GraphileConfig.PgServiceConfiguration {
  return makePgService({
    pool,
    schemas: ["bookpost"],
    pubsub: false,
    pgSettingsForIntrospection: { role: "bookpost_operator" },
  });
}
