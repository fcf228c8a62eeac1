import { hostname } from "node:os";
import type pg from "pg";
import { BookpostError } from "../errors.ts";
import { beat } from "../sql/beat.ts";
import { freeStrays } from "../sql/freeStrays.ts";
import { offerChannels } from "../sql/offerChannels.ts";
import { readTaskId } from "../sql/readTaskId.ts";
import { signOff } from "../sql/signOff.ts";
import { sweep } from "../sql/sweep.ts";
import type { DatabaseClock } from "./databaseClock.ts";

export interface Heartbeat {
  /** Resolves once the first beat is written. */
  readonly ready: Promise<void>;
  /** Stops beating and signs off, so that nobody waits for a worker that is gone. */
  stop(): Promise<void>;
}

/** A worker that misses five beats is taken for dead (`bookpost_private.dead_after`). */
const BEAT_MS = 1_000;

/** Chosen: looking for strays reads the whole queue. */
const STRAYS_EVERY = 5;

/** A worker that has not reached the database for so long ends: others, or its next life, do better. Chosen. */
const LOST_AFTER_MS = 15_000;

/** A worker without a job that has not been able to ask for one at so many beats in a row ends likewise. */
const IDLE_BEATS = 15;

/** What a worker holds at this moment. */
export interface Holdings {
  /** Ids of jobs, and of lookups that were permitted. */
  jobIds(): string[];
  lookupIds(): string[];
  /** Whether it has jobs, or has been able to ask for some since this was asked last. */
  isAtWork(): boolean;
}

/**
 * Says that this worker is alive, frees what dead ones hold, and what this one
 * holds without knowing. Errors are told and survived, until the database has
 * not been reached, or the queue not been asked, for 15 seconds: then `onLost`
 * hears of it, once.
 */
export function startHeartbeat(options: {
  /** Of its own, so that a busy pool never makes a living worker look dead. */
  readonly pool: pg.Pool;
  /** For the sweeps, so that a slow one does not hold up the beats. */
  readonly sweepPool: pg.Pool;
  readonly workerId: string;
  readonly apiFingerprints: Readonly<Record<string, string>>;
  /** By which it can send messages. */
  readonly channels: readonly string[];
  readonly clock: DatabaseClock;
  readonly holdings: Holdings;
  readonly onError: (what: string, error: unknown) => void;
  readonly onLost: (error: Error) => void;
}): Heartbeat {
  const { pool, sweepPool, workerId, apiFingerprints, channels, clock, holdings, onError, onLost } =
    options;
  const worker = { workerId, hostName: hostname(), processId: process.pid, apiFingerprints };
  const { promise: ready, resolve: isReady } = Promise.withResolvers<void>();
  let failingSince: number | null = null;
  let isLost = false;
  let isOffered = false;
  let dispatchTask: number | null = null;

  function lose(why: string, cause?: unknown): void {
    if (isLost) return;
    isLost = true;
    onLost(new BookpostError("WORKER_LOST", why, { cause }));
  }

  async function beatOnce(): Promise<void> {
    const askedAt = performance.now();
    try {
      const databaseMs = await beat(pool, { ...worker, clockAheadMs: clock.aheadMs() });
      clock.note(databaseMs, askedAt, performance.now());
      failingSince = null;
      // As early as can be: it is to be the number that the queue has read for itself.
      dispatchTask ??= await readTaskId(pool, "dispatch");
      if (!isOffered) await offerChannels(pool, workerId, channels);
      isOffered = true;
      isReady();
    } catch (error) {
      failingSince ??= askedAt;
      // NOTE: counted from the first beat that failed. One who was frozen for a minute finds the database well.
      if (performance.now() - failingSince >= LOST_AFTER_MS)
        lose(
          `Postgres has not been reached for 15 seconds, at last: ${error instanceof Error ? error.message : error}.`,
          error,
        );
      throw error;
    }
  }

  async function sweepOnce(beats: number): Promise<void> {
    await sweep(sweepPool);
    if (beats % STRAYS_EVERY !== 0) return;
    await offerChannels(sweepPool, workerId, channels);
    const jobIds = holdings.jobIds();
    const lookupIds = holdings.lookupIds();
    const freed = await freeStrays(sweepPool, workerId, jobIds, lookupIds);
    if (freed > 0) onError("a lost answer", new Error(`${freed} jobs or lookups were given back`));
    const task = await readTaskId(sweepPool, "dispatch");
    if (dispatchTask !== null && task !== dispatchTask)
      lose(
        "The queue's tables were emptied: a worker that was started before finds no jobs there.",
      );
    dispatchTask ??= task;
  }

  const beating = single("a heartbeat failed", onError);
  const sweeping = single("a sweep failed", onError);
  let beats = 0;
  let idleBeats = 0;
  beating.run(beatOnce);
  const timer = setInterval(() => {
    // Counted in beats: one who was frozen for a minute has missed only one.
    idleBeats = holdings.isAtWork() ? 0 : idleBeats + 1;
    // Of a database that is away the beats tell better.
    if (idleBeats >= IDLE_BEATS && failingSince === null)
      lose("The queue has not been asked for jobs for 15 seconds, though there was room for some.");
    beating.run(beatOnce);
    // While the database is away the beats say so often enough.
    if (failingSince === null) sweeping.run(() => sweepOnce(beats++));
  }, BEAT_MS);

  return {
    ready,
    async stop() {
      clearInterval(timer);
      await Promise.all([beating.ended(), sweeping.ended()]);
      const left = await signOff(pool, workerId).catch((error) => {
        onError("signing off failed", error);
        return 0;
      });
      if (left > 0)
        onError("a stop", new Error(`${left} jobs were still locked, and are given back`));
    },
  };
}

/** Runs one thing at a time: what is asked for meanwhile is left out. */
function single(what: string, onError: (what: string, error: unknown) => void) {
  let current: Promise<void> | null = null;
  return {
    run(work: () => Promise<void>): void {
      current ??= work()
        .catch((error) => onError(what, error))
        .finally(() => {
          current = null;
        });
    },
    async ended(): Promise<void> {
      await current;
    },
  };
}
