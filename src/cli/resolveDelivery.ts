import type { Queryable } from "../db/withTransaction.ts";
import { UsageError } from "../errors.ts";
import { findDeliveries } from "../sql/findDeliveries.ts";
import { idRange, SHORTEST_PREFIX } from "./idRange.ts";

/**
 * The id of the one message that `text` is, or is the beginning of.
 * @throws UsageError UNKNOWN_MESSAGE, AMBIGUOUS_MESSAGE
 */
export async function resolveDelivery(db: Queryable, text: string): Promise<string> {
  const ids = idRange(text);
  const [id, another] = ids === null ? [] : await findDeliveries(db, ids);
  if (id === undefined)
    throw new UsageError(
      "UNKNOWN_MESSAGE",
      `There is no message "${text}": give its id, or at least the first ${SHORTEST_PREFIX} characters of it; npx bookpost deliveries shows them.`,
    );
  if (another !== undefined)
    throw new UsageError(
      "AMBIGUOUS_MESSAGE",
      `The ids of several messages begin with "${text}": give more of it.`,
    );
  return id;
}
