import { readFile } from "node:fs/promises";
import type { Lane } from "../../harness/lane.ts";
import type { TestDatabase } from "../../helpers/template.ts";

/** What must not grow for ever, at one moment. */
export interface Sample {
  /** Memory of the workers' processes together, in megabytes. */
  readonly workerMegabytes: number;
  /** Dead rows in the tables that every lookup writes, and what these tables take on disk. */
  readonly deadRows: number;
  readonly hotMegabytes: number;
  /** The latter by table. */
  readonly megabytes: Readonly<Record<string, number>>;
  readonly lookups: number;
}

const HOT = [
  "bookpost_private.checks",
  "bookpost_private.leases",
  "bookpost_private.budgets",
  "bookpost_private.call_windows",
  "bookpost_private.workers",
  "bookpost_private.dispatch_clock",
  "bookpost.carrier_circuits",
  "graphile_worker._private_jobs",
];

export async function sample({ pool }: TestDatabase, lanes: readonly Lane[]): Promise<Sample> {
  const { rows } = await pool.query<Omit<Sample, "workerMegabytes">>(
    `select coalesce(sum(s.n_dead_tup), 0)::integer as "deadRows",
       (sum(pg_total_relation_size(s.relid)) / 1048576)::float8 as "hotMegabytes",
       json_object_agg(s.relid::regclass, round(pg_total_relation_size(s.relid) / 1048576.0, 1)) as megabytes,
       (select count(*)::integer from bookpost_private.lookups) as lookups
     from pg_stat_user_tables s where s.relid = any ($1::regclass[])`,
    [HOT],
  );
  const memories = await Promise.all(lanes.map((lane) => megabytesOf(lane.worker()?.pid)));
  const [row] = rows;
  if (!row) throw new Error("the tables are gone");
  return { workerMegabytes: memories.reduce((sum, each) => sum + each, 0), ...row };
}

/** Of a process that is gone: 0. */
async function megabytesOf(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0;
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1_024;
}

/** The median of what `of` says of the samples. */
export function medianOf(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const sorted = samples.map(of).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
