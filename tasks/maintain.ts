import type { Task } from "graphile-worker";
import { makePartitions } from "../src/sql/makePartitions.ts";
import { pruneChanges } from "../src/sql/pruneChanges.ts";
import { pruneDeliveries } from "../src/sql/pruneDeliveries.ts";
import { runtimeOf } from "../src/tracking/runtime.ts";

/** Daily housekeeping: next months' partitions of the ledgers, messages that ended and changes that were told long ago. */
const task: Task = async (_payload, { job }) => {
  const { housekeepingPool } = runtimeOf(job.locked_by);
  await makePartitions(housekeepingPool);
  await pruneDeliveries(housekeepingPool);
  // In batches of their own transaction each, so that none is open for long.
  while ((await pruneChanges(housekeepingPool)) > 0);
};

export default task;
