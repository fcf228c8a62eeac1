/**
 * What this process knows of the database's clock. Measured at each heartbeat
 * against a clock that never jumps, so that a jump of the wall clock shows at
 * once, not at the next heartbeat.
 */
export interface DatabaseClock {
  /** The database said `databaseMs` (since 1970) at some moment between two of `performance.now()`. */
  note(databaseMs: number, askedAt: number, answeredAt: number): void;
  /** How far our wall clock is ahead of the database's, in milliseconds; negative: behind; null: not measured yet. */
  aheadMs(): number | null;
}

/** @param wallClock milliseconds since 1970; for tests */
export function createDatabaseClock(wallClock: () => number = Date.now): DatabaseClock {
  let offset: number | null = null;
  return {
    note(databaseMs, askedAt, answeredAt) {
      offset = databaseMs - (askedAt + answeredAt) / 2;
    },
    aheadMs: () => (offset === null ? null : wallClock() - (offset + performance.now())),
  };
}
