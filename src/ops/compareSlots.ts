import type { Queryable } from "../db/withTransaction.ts";
import { readLookupsInFlight } from "../sql/readLookupsInFlight.ts";

/**
 * What is wrong with this worker's concurrency, in a sentence: a person has set it, or an API's limits, so that
 * carriers that hang could take slots from the others. Null: nothing.
 */
export async function compareSlots(
  db: Queryable,
  apiCodes: readonly string[],
  concurrency: number,
): Promise<string | null> {
  const lookups = await readLookupsInFlight(db, apiCodes);
  return lookups <= concurrency
    ? null
    : `The configured carriers' APIs may have ${lookups} lookups in flight, and this worker runs ${concurrency} jobs at once: a carrier that hangs can hold up the others. Set BOOKPOST_CONCURRENCY to ${lookups} or more, or lower calls_in_flight in bookpost.carrier_apis.`;
}
