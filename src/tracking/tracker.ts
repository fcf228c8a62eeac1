import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { LookupResult } from "../carriers/carrier.ts";
import type { CarrierClient } from "../carriers/client.ts";
import { persist } from "../db/persist.ts";
import { NotAsked } from "../errors.ts";
import { acquireLookups, type Permit } from "../sql/acquireLookups.ts";
import { confirmLookups } from "../sql/confirmLookups.ts";
import { interruptLookups } from "../sql/interruptLookups.ts";
import type { LookupReport, RecordedLookup } from "../sql/recordLookups.ts";
import { releaseLookups } from "../sql/releaseLookups.ts";
import { awaitTurn } from "./awaitTurn.ts";
import { coalesce } from "./coalesce.ts";
import { payer } from "./payer.ts";
import { recordSafely } from "./recordSafely.ts";
import { reportFrom } from "./reportFrom.ts";
import { shareRequests } from "./shareRequests.ts";

/** How an attempt to look up one parcel ended. */
export type TrackingEnd =
  | ({
      readonly kind: "recorded";
      /** What was odd about a new answer and did no harm, such as a code that is not listed. */
      readonly warnings: readonly string[];
    } & RecordedLookup)
  /** Its lease had gone before the answer came; nothing was changed. */
  | { readonly kind: "stale" }
  /** No request went out. `retryInMs`: how long the reason holds, where that is known. */
  | { readonly kind: "refused"; readonly reason: string; readonly retryInMs: number | null };

export interface Tracker {
  /**
   * Looks up one parcel: acquire (commits), call the carrier (no transaction,
   * no connection held), record (commits). Carrier trouble is an end, not an
   * error; throws only when the database cannot be reached or on a bug.
   */
  lookUp(parcelId: string, signal: AbortSignal): Promise<TrackingEnd>;
  /** The lookups that were permitted and have not ended. */
  lookupIds(): string[];
}

/** Chosen: larger batches won nothing more in trials. */
const MAX_BATCH = 100;

/** Shorter than what is left of a lease (100 s) after the longest lookup (80 s). */
const RECORD_PATIENCE_MS = 15_000;

export function createTracker(options: {
  readonly pool: pg.Pool;
  readonly workerId: string;
  /** By API code; those that are not configured are missing. */
  readonly clients: ReadonlyMap<string, CarrierClient>;
}): Tracker {
  const { pool, workerId, clients } = options;
  const inHand = new Set<string>();

  const acquire = coalesce(async (parcelIds: readonly string[]) => {
    let startedAt = 0;
    const verdicts = await persist(() => {
      // Of the asking that is answered: permits do not grow old while the database is away.
      startedAt = performance.now();
      // What an earlier asking was granted, its answer lost, is busy to this one; the heartbeat gives it back.
      return acquireLookups(pool, parcelIds, workerId);
    });
    const answeredAt = performance.now();
    for (const verdict of verdicts) if (verdict.verdict === "permit") inHand.add(verdict.lookupId);
    const requests = shareRequests(verdicts, clients);
    return verdicts.map((verdict) => ({
      verdict,
      request: verdict.verdict === "permit" ? requests.get(verdict.batchId) : undefined,
      startedAt,
      answeredAt,
    }));
  }, MAX_BATCH);

  const confirm = coalesce(
    (lookupIds: readonly string[]) => persist(() => confirmLookups(pool, lookupIds)),
    MAX_BATCH,
  );

  const record = coalesce(async (reports: readonly LookupReport[]) => {
    const recorded = await recordSafely(pool, reports, workerId);
    const byId = new Map(recorded.map((r) => [r.lookupId, r]));
    return reports.map((report) => byId.get(report.lookup_id) ?? null);
  }, MAX_BATCH);

  /** While an app's transaction has the parcel in hand, only this one waits, not the batch. */
  async function recordPatiently(report: LookupReport): Promise<RecordedLookup | null> {
    const startedAt = performance.now();
    for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
      const recorded = await record(report);
      if (recorded?.outcome !== "busy") return recorded;
      if (performance.now() - startedAt > RECORD_PATIENCE_MS)
        throw new Error("another transaction has kept the parcel locked for too long");
      await sleep(pauseMs);
    }
  }

  async function lookUp(parcelId: string, signal: AbortSignal): Promise<TrackingEnd> {
    const { verdict, request, startedAt, answeredAt } = await acquire(parcelId);
    if (verdict.verdict !== "permit")
      return { kind: "refused", reason: verdict.verdict, retryInMs: verdict.retryInMs };
    const permit: Permit = verdict;
    let giveUp: (() => Promise<unknown>) | null = () =>
      releaseLookups(pool, [permit.lookupId], "not used");
    try {
      if (!request) return { kind: "refused", reason: "not_configured", retryInMs: null };
      // The database granted it between these two moments: waiting from the later one is never
      // too early, counting from the earlier one never too late, whatever the clocks say.
      const { waitMs } = permit;
      const stillStands = () => confirm(permit.lookupId);
      const at = answeredAt + waitMs;
      const refused = await awaitTurn({
        at,
        askedAt: startedAt,
        waitMs,
        signal,
        confirm: stillStands,
      });
      if (refused)
        return { kind: "refused", reason: refused.refusal, retryInMs: refused.retryInMs };
      const beforeRequest = payer({
        pool,
        lookupId: permit.lookupId,
        callBefore: startedAt + waitMs + permit.useWithinMs,
        signal,
        confirm: stillStands,
      });
      const result = await request.resultOf(permit.lookupId, { signal, beforeRequest });
      if (isNotAsked(result)) {
        const { refusal, retryInMs } = result.error;
        return { kind: "refused", reason: refusal, retryInMs };
      }
      // The carrier has counted a call, and so do we.
      giveUp = () => interruptLookups(pool, [permit.lookupId], "its end could not be recorded");
      const recorded = await recordPatiently(reportFrom(permit.lookupId, result, new Date()));
      giveUp = null;
      if (!recorded) return { kind: "stale" };
      const isNew = result.kind === "found" && recorded.outcome === "updated";
      return { kind: "recorded", ...recorded, warnings: isNew ? result.tracking.warnings : [] };
    } finally {
      // If even this fails, the lease runs out by itself.
      await giveUp?.().catch(() => {});
      inHand.delete(permit.lookupId);
    }
  }

  return { lookUp, lookupIds: () => [...inHand] };
}

/** Nothing was sent: the permit can go back. */
function isNotAsked(result: LookupResult): result is LookupResult & { readonly error: NotAsked } {
  return result.kind === "failed" && result.error instanceof NotAsked && result.calls.length === 0;
}
