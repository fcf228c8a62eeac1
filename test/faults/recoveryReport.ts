import { appendFile } from "node:fs/promises";
import { z } from "zod";
import { type Column, table } from "../../src/cli/table.ts";

const recovery = z.strictObject({
  /** What was killed or cut, and when: "worker killed after the carrier's reply". */
  point: z.string().min(1),
  /** From the fault to the work running again, once for each time it was tried. */
  seconds: z.array(z.number().min(0)).min(1),
  /** The worst that is promised; more fails the run. */
  promisedSeconds: z.number().positive().optional(),
});

export type Recovery = z.infer<typeof recovery>;

/**
 * Tells the run how long recoveries took. Tests assert no time; the run prints
 * what they tell, and holds it to the promise. Without FAULTS_REPORT, the file
 * that the run names, it does nothing.
 */
export async function reportRecovery(told: Recovery): Promise<void> {
  const file = process.env.FAULTS_REPORT;
  // One line in one write: tests of several processes append to one file.
  if (file) await appendFile(file, `${JSON.stringify(recovery.parse(told))}\n`);
}

/** What was told, one for each point. @throws ZodError on a line of another shape */
export function readRecoveries(lines: string): Recovery[] {
  const told = lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => recovery.parse(JSON.parse(line)));
  return [...Map.groupBy(told, ({ point }) => point).entries()].map(([point, group]) => ({
    point,
    seconds: group.flatMap(({ seconds }) => seconds),
    promisedSeconds: group.find(({ promisedSeconds }) => promisedSeconds)?.promisedSeconds,
  }));
}

export function isKept({ seconds, promisedSeconds = Number.POSITIVE_INFINITY }: Recovery): boolean {
  return Math.max(...seconds) <= promisedSeconds;
}

function medianOf(seconds: readonly number[]): number {
  const sorted = seconds.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = 0, high = 0] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

const COLUMNS: readonly Column<Recovery>[] = [
  { title: "from", of: ({ point }) => point, isFree: true },
  { title: "n", of: ({ seconds }) => seconds.length, align: "right" },
  { title: "median s", of: ({ seconds }) => medianOf(seconds).toFixed(2), align: "right" },
  { title: "worst s", of: ({ seconds }) => Math.max(...seconds).toFixed(2), align: "right" },
  { title: "promised s", of: ({ promisedSeconds }) => promisedSeconds ?? "", align: "right" },
  { title: "", of: (told) => (isKept(told) ? "" : "TOO LONG") },
];

/** How long it took to be at work again, the worst beside the median. */
export function recoveryTable(recoveries: readonly Recovery[], width: number): string {
  return table(COLUMNS, recoveries, width);
}
