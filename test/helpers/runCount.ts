/**
 * How many random cases a property is tried with: `quick` in `npm test`, `thorough` in `npm run test:faults`, and RUNS
 * where it is set. SEED, as a failure prints it, repeats a run.
 */
export function runCount(quick: number, thorough: number): number {
  const { RUNS, FAULTS } = process.env;
  if (RUNS !== undefined) return Number(RUNS);
  return FAULTS === "1" ? thorough : quick;
}
