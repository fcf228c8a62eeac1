import type { Task } from "graphile-worker";
import { trackBookPayload } from "../src/jobs/trackBookPayload.ts";
import { runtimeOf } from "../src/tracking/runtime.ts";

/** Chosen: a wait shorter than a dispatch interval is kept in the queue; a longer one is dispatch's business. */
const LONGEST_SNOOZE_MS = 60_000;

/** Reasons that end by themselves and soon. Of an open circuit dispatch alone decides who is the probe. */
const KEPT = new Set(["no_budget", "not_before", "stopping", "late", "no_token", "no_database"]);

/** Asks the carrier about one parcel and writes down what it learns. Carrier trouble is an outcome, not a failed job. */
const task: Task = async (payload, helpers) => {
  const { parcelId } = trackBookPayload.parse(payload);
  const runtime = runtimeOf(helpers.job.locked_by);
  const signal = helpers.abortSignal ?? new AbortController().signal;
  const end = await runtime.tracker.lookUp(parcelId, signal);

  switch (end.kind) {
    case "recorded":
      for (const warning of end.warnings) helpers.logger.warn(`parcel ${parcelId}: ${warning}`);
      if (end.status !== end.previousStatus)
        helpers.logger.info(`parcel ${parcelId}: ${end.previousStatus} → ${end.status}`);
      else helpers.logger.debug(`parcel ${parcelId}: ${end.outcome}`);
      return;
    case "stale":
      helpers.logger.warn(`parcel ${parcelId}: the answer came too late and changed nothing`);
      return;
    case "refused": {
      const { reason, retryInMs } = end;
      if (KEPT.has(reason) && retryInMs !== null && retryInMs <= LONGEST_SNOOZE_MS)
        await runtime.snooze(helpers.job, retryInMs);
      return;
    }
    default:
      end satisfies never;
  }
};

export default task;
