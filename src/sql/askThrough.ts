import type { Queryable } from "../db/withTransaction.ts";

/** From now on `carrierCode`'s parcels, those under way too, are asked about through `apiCode`. Commits. */
export async function askThrough(
  db: Queryable,
  carrierCode: string,
  apiCode: string,
): Promise<void> {
  await db.query("update bookpost.carriers set api_code = $2 where code = $1", [
    carrierCode,
    apiCode,
  ]);
}
