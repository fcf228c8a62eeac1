/** What takes long and is left out of `npm test`; `npm run test:faults` runs it. */
export const SLOW: readonly string[] = [
  // Real crashes, and the tools that make them.
  "test/faults/**/*.test.ts",
  "test/harness/**/*.test.ts",
  // Broken on purpose, again and again.
  "test/db/races/saboteurs.test.ts",
  // Waits for the minute.
  "test/facts/fastClock.test.ts",
];
