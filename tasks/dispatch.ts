import type { Task } from "graphile-worker";
import { dispatch } from "../src/sql/dispatch.ts";
import { runtimeOf } from "../src/tracking/runtime.ts";

/** Queues a `track_book` job for every parcel that is due. Safe to run at any time, any number of times. */
const task: Task = async (_payload, { job, logger }) => {
  const runtime = runtimeOf(job.locked_by);
  await runtime.ready;
  for (const { apiCode, reason, dispatched } of await dispatch(runtime.housekeepingPool))
    if (dispatched > 0)
      logger.info(`${apiCode}: ${dispatched} dispatched${reason ? ` (${reason})` : ""}`);
};

export default task;
