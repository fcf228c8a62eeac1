import type { Stage } from "./carrier.ts";

/**
 * Turns a table grouped by stage ("delivered": "011 026 143") round, into code
 * → stage. Has no prototype, so that a carrier's code "constructor" is simply not listed.
 */
export function stageTable(
  codesByStage: Readonly<Partial<Record<Stage, string>>>,
): Readonly<Record<string, Stage>> {
  const table: Record<string, Stage> = Object.create(null);
  for (const [stage, codes] of Object.entries(codesByStage))
    for (const code of codes.split(/\s+/)) {
      if (code in table) throw new Error(`status code ${code} is listed twice`);
      table[code] = stage as Stage;
    }
  return table;
}
