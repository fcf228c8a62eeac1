import type { WorkerEvents } from "graphile-worker";
import type { DatabaseClock } from "./databaseClock.ts";

/** A worker whose clock is further off than this does no crontab. Chosen: what no time service lets happen. */
export const TOLERATED_MS = 5_000;

/**
 * Keeps a worker with a wrong clock from filling in the queue's timetable: one
 * that is an hour ahead would mark the coming hour's minutes as done, for all
 * workers. Others do the crontab meanwhile; where there are none, the sweep asks
 * for a dispatch by the database's clock.
 */
export function guardCrontab(
  events: WorkerEvents,
  clock: DatabaseClock,
  onWarning: (sentence: string) => void,
): () => void {
  let wasWrong = false;
  const guard = ({ jobsAndIdentifiers }: { jobsAndIdentifiers: unknown[] }) => {
    const aheadMs = clock.aheadMs();
    const isWrong = aheadMs === null || Math.abs(aheadMs) > TOLERATED_MS;
    // The queue writes down what this list holds when its listeners have been called.
    if (isWrong) jobsAndIdentifiers.length = 0;
    if (isWrong && !wasWrong) onWarning(sentenceOn(aheadMs));
    wasWrong = isWrong;
  };
  events.on("cron:schedule", guard);
  return () => events.off("cron:schedule", guard);
}

function sentenceOn(aheadMs: number | null): string {
  if (aheadMs === null)
    return "This worker does not know the database's clock yet and leaves the crontab to others.";
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  return `This host's clock is ${seconds} s ${aheadMs > 0 ? "ahead of" : "behind"} the database's: this worker leaves the crontab to others. Set the clock (a time service keeps it right).`;
}
