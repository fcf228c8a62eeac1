import { TYPES } from "postgraphile/@dataplan/pg";

/** Postgres's own types that say which transactions are meant. PostGraphile knows no codec for them. */
const NAMES = new Set(["xid8", "pg_snapshot"]);

/**
 * Lets the table of changes, and the functions that its cursor is made of, be
 * read from the catalogue. Neither is part of the API (schemaTags.ts).
 */
export const transactionIdPlugin: GraphileConfig.Plugin = {
  name: "BookpostTransactionIdPlugin",
  version: "0.0.0",
  gather: {
    hooks: {
      async pgCodecs_findPgCodec(_info, event) {
        if (event.pgCodec === null && NAMES.has(event.pgType.typname)) event.pgCodec = TYPES.text;
      },
    },
  },
};
