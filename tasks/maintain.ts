import type { Task } from "graphile-worker";
import { makePartitions } from "../src/sql/makePartitions.ts";
import { runtimeOf } from "../src/tracking/runtime.ts";

/** Daily housekeeping: next months' partitions of the ledgers. */
const task: Task = async (_payload, { job }) => {
  await makePartitions(runtimeOf(job.locked_by).housekeepingPool);
};

export default task;
