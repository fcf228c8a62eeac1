import { hostname } from "node:os";
import type pg from "pg";
import { beat } from "../sql/beat.ts";
import { signOff } from "../sql/signOff.ts";
import { sweep } from "../sql/sweep.ts";

export interface Heartbeat {
  /** Resolves once the first beat is written. */
  readonly ready: Promise<void>;
  /** Stops beating and signs off, so that nobody waits for a worker that is gone. */
  stop(): Promise<void>;
}

/** A worker that misses four beats is taken for dead (8 s, in `bookpost_private.sweep`). */
const BEAT_MS = 2_000;

/** Says that this worker is alive, and each time frees what dead ones hold. Errors are told and survived. */
export function startHeartbeat(options: {
  /** Of its own, so that a busy pool never makes a living worker look dead. */
  readonly pool: pg.Pool;
  readonly workerId: string;
  readonly apiFingerprints: Readonly<Record<string, string>>;
  readonly onError: (what: string, error: unknown) => void;
}): Heartbeat {
  const { pool, workerId, apiFingerprints, onError } = options;
  const worker = { workerId, hostName: hostname(), processId: process.pid, apiFingerprints };

  async function beatOnce(): Promise<void> {
    await beat(pool, worker);
    await sweep(pool);
  }

  const ready = beatOnce();
  let current: Promise<void> | null = ready
    .catch((error) => onError("the first heartbeat failed", error))
    .finally(() => {
      current = null;
    });
  const timer = setInterval(() => {
    current ??= beatOnce()
      .catch((error) => onError("a heartbeat failed", error))
      .finally(() => {
        current = null;
      });
  }, BEAT_MS);

  return {
    ready,
    async stop() {
      clearInterval(timer);
      await current;
      await signOff(pool, workerId).catch((error) => onError("signing off failed", error));
    },
  };
}
