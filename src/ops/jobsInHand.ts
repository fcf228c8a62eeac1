import type { Job, WorkerEvents, WorkerPool } from "graphile-worker";

/**
 * How long an ended job is still counted as in hand: the word of its end may be
 * on its way to the database. Longer than that takes (src/db/pool.ts).
 */
const ENDING_MS = 10_000;

export interface JobsInHand {
  /** The ids of all jobs that this worker pool has fetched and not yet given up. */
  ids(): string[];
  /** Whether it has unfinished jobs, or has got an answer to asking for some since this was asked last. */
  isAtWork(): boolean;
  stop(): void;
}

/**
 * Follows which jobs a worker pool has: fetched into its local queue, running,
 * or ended a moment ago. What the database has locked for it beyond these is a
 * stray.
 */
export function followJobs(
  events: WorkerEvents,
  pool: WorkerPool,
  now: () => number = () => performance.now(),
): JobsInHand {
  // Until when each counts; those that have not ended: for ever.
  const until = new Map<string, number>();
  let hasAsked = true;
  const hold = (job: Job) => until.set(String(job.id), Number.POSITIVE_INFINITY);
  const letGo = (job: Job) => until.set(String(job.id), now() + ENDING_MS);
  const listeners = {
    // With one pool's jobs at a time in a process nothing else would fetch; with two, the lock says whose it is.
    "localQueue:getJobs:complete": ({ jobs }: { jobs: Job[] }) => {
      hasAsked = true;
      jobs.filter((job) => job.locked_by === pool.id).forEach(hold);
    },
    // Where there is no local queue.
    "worker:getJob:empty": () => {
      hasAsked = true;
    },
    "localQueue:returnJobs": ({ jobs }: { jobs: Job[] }) =>
      jobs.filter((job) => until.has(String(job.id))).forEach(letGo),
    "job:start": ({ job }: { job: Job }) => {
      if (job.locked_by === pool.id) hold(job);
    },
    "job:complete": ({ job }: { job: Job }) => {
      if (job.locked_by === pool.id) letGo(job);
    },
  };
  for (const [name, listener] of Object.entries(listeners))
    events.on(name as "job:start", listener as (event: { job: Job }) => void);
  return {
    ids() {
      for (const [id, end] of until) if (end <= now()) until.delete(id);
      return [...until.keys()];
    },
    isAtWork() {
      const isAtWork = hasAsked || [...until.values()].includes(Number.POSITIVE_INFINITY);
      hasAsked = false;
      return isAtWork;
    },
    stop() {
      for (const [name, listener] of Object.entries(listeners))
        events.off(name as "job:start", listener as (event: { job: Job }) => void);
    },
  };
}
