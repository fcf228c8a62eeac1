import type pg from "pg";
import { withTransaction } from "../db/withTransaction.ts";
import { readSharedParcels, type SharedParcel } from "../sql/readSharedParcels.ts";
import { STATEMENT_TIMEOUT_MS } from "./limits.ts";

/** What the token of a public link opens, or null; for the page, as the visitor, who may do no more. */
export function createSharedParcelReader(
  pool: pg.Pool,
): (token: string) => Promise<SharedParcel | null> {
  return (token) =>
    withTransaction(pool, async (client) => {
      await client.query(
        `set local role bookpost_visitor; set local statement_timeout = ${STATEMENT_TIMEOUT_MS.bookpost_visitor}`,
      );
      const [parcel = null] = await readSharedParcels(client, [token]);
      return parcel;
    });
}
