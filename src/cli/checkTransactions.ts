import type { Health } from "../sql/readHealth.ts";
import type { Finding } from "./diagnose.ts";
import { duration } from "./ownTime.ts";

/** Chosen: a statement of ours takes milliseconds; behind a transaction that old, dead rows pile up. */
const LONG_MS = 5 * 60_000;

/**
 * A transaction that has been open for so long: nothing of ours waits for it,
 * but vacuum cannot clean up what has died since it began, so that the queue
 * gets slower with every job.
 */
export function checkTransactions(
  { oldestTransaction }: Pick<Health, "oldestTransaction">,
  longMs = LONG_MS,
): Finding[] {
  if (oldestTransaction === null || oldestTransaction.ageMs < longMs) return [];
  const { processId, login, application, ageMs } = oldestTransaction;
  const who = application === "" ? login : `${login} (${application})`;
  return [
    {
      name: "transactions",
      state: "wrong",
      finding: `one of ${who} has been open for ${duration(ageMs)}; vacuum cannot clean up behind it`,
      wayOut: `end it where it was begun, or: select pg_terminate_backend(${processId})`,
    },
  ];
}
