import type pg from "pg";
import { createWithPgClient, makePgService } from "postgraphile/adaptors/pg";
import { pipelineReads } from "./pipelinedReads.ts";

/**
 * The database as PostGraphile sees it: our pool, the one schema that is for
 * people. It is read as the operator, because the login by itself may read
 * nothing, and because hers is the union of what the API's roles may see: so
 * the schema is the same whoever logs in.
 */
export function createApiService(pool: pg.Pool): GraphileConfig.PgServiceConfiguration {
  const service = makePgService({
    pool,
    schemas: ["bookpost"],
    pubsub: false,
    pgSettingsForIntrospection: { role: "bookpost_operator" },
  });
  return {
    ...service,
    adaptor: {
      ...service.adaptor,
      createWithPgClient: async (options) => pipelineReads(pool, await createWithPgClient(options)),
    },
  };
}
