import type { Queryable } from "../db/withTransaction.ts";
import { UsageError } from "../errors.ts";
import { readWebhooks, type WebhookRow } from "../sql/readWebhooks.ts";
import { idRange } from "./idRange.ts";

/** The one endpoint whose id is, or begins with, `text`. @throws UsageError UNKNOWN_WEBHOOK, AMBIGUOUS_WEBHOOK */
export async function resolveWebhook(db: Queryable, text: string): Promise<WebhookRow> {
  const ids = idRange(text);
  const [found, ...others] = ids === null ? [] : await readWebhooks(db, ids);
  if (found === undefined)
    throw new UsageError(
      "UNKNOWN_WEBHOOK",
      `There is no webhook "${text}": give its id or the beginning of it; npx bookpost webhook list shows them.`,
    );
  if (others.length > 0)
    throw new UsageError(
      "AMBIGUOUS_WEBHOOK",
      `"${text}" means ${others.length + 1} webhooks; give more of the id.`,
    );
  return found;
}
