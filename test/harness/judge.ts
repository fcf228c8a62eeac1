import type { Queryable } from "../../src/db/withTransaction.ts";
import {
  falseNotifications,
  missingNotifications,
  scansWithoutLookup,
  statusesWithoutEvidence,
  stuckThings,
  unexplainedParcels,
} from "./judgeDatabase.ts";
import { overlappingRequests, type Request, requestsWithoutLookup } from "./judgeRequests.ts";

/** What is judged. */
export interface Evidence {
  /** The database, seen as its owner. */
  readonly db: Queryable;
  /** The carrier's own log; left out: only the database is judged. */
  readonly log?: readonly Request[];
}

const CHECKS = {
  stuckThings: ({ db }) => stuckThings(db),
  unexplainedParcels: ({ db }) => unexplainedParcels(db),
  statusesWithoutEvidence: ({ db }) => statusesWithoutEvidence(db),
  scansWithoutLookup: ({ db }) => scansWithoutLookup(db),
  missingNotifications: ({ db }) => missingNotifications(db),
  falseNotifications: ({ db }) => falseNotifications(db),
  overlappingRequests: ({ db, log = [] }) => overlappingRequests(db, log),
  requestsWithoutLookup: ({ db, log = [] }) => requestsWithoutLookup(db, log),
} satisfies Record<string, (evidence: Evidence) => Promise<unknown[]>>;

export type CheckName = keyof typeof CHECKS;

/**
 * Holds what has happened to every check. Call it when nothing is under way.
 * @returns the offenders of each check that found some: `{}` when all is well, so that a test says
 * `expect(await judge({ db, log })).toEqual({})`.
 */
export async function judge(evidence: Evidence): Promise<Partial<Record<CheckName, unknown[]>>> {
  const verdict: Partial<Record<CheckName, unknown[]>> = {};
  for (const name of Object.keys(CHECKS) as CheckName[]) {
    const offenders = await CHECKS[name](evidence);
    if (offenders.length > 0) verdict[name] = offenders;
  }
  return verdict;
}
