import type { Task } from "graphile-worker";
import { makePartitions } from "../src/sql/makePartitions.ts";
import { pruneDeliveries } from "../src/sql/pruneDeliveries.ts";
import { runtimeOf } from "../src/tracking/runtime.ts";

/** Daily housekeeping: next months' partitions of the ledgers, and messages that ended long ago. */
const task: Task = async (_payload, { job }) => {
  const { housekeepingPool } = runtimeOf(job.locked_by);
  await makePartitions(housekeepingPool);
  await pruneDeliveries(housekeepingPool);
};

export default task;
