import { spawn } from "node:child_process";
import { once } from "node:events";
import { glob, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { temporaryFilesInMemory } from "../helpers/inMemory.ts";
import { judge, type TestResult, type Verdict } from "./judge.ts";
import { readResults } from "./readResults.ts";
import { isKept, readRecoveries, recoveryTable } from "./recoveryReport.ts";
import { SLOW } from "./slow.ts";
import { type Row, rows } from "./table.ts";

// `npm run test:faults -- [words]`: runs the tests behind every line of the table, the slow ones under test/faults
// included, and prints what became of each line. With words, only the lines in which all of them occur.

const ROOT = join(import.meta.dirname, "../..");

/** A terminal's width, or a page's where there is none. */
const WIDTH = process.stdout.columns || 120;

async function main(words: readonly string[]): Promise<number> {
  const chosen = rows.filter((row) => words.every((word) => hasWord(row, word)));
  if (chosen.length === 0) {
    console.error(`No line of the table has ${words.join(" and ")} in it.`);
    return 2;
  }
  const files = new Set(chosen.flatMap(({ claim }) => claim.tests ?? []).map(({ file }) => file));
  if (words.length === 0)
    for (const pattern of SLOW)
      for await (const file of glob(pattern, { cwd: ROOT })) files.add(file);

  const folder = await mkdtemp(join(tmpdir(), "bookpost-faults-"));
  try {
    const run = await runTests([...files].toSorted(), folder);
    const verdicts = chosen.map((row) => ({ row, verdict: judge(row.claim, run.results) }));
    print(verdicts);
    printCounts(verdicts);
    const kept = printRecoveries(run.recoveries);
    const isRed = verdicts.some(({ verdict }) => verdict.word === "FAILED");
    if (run.code !== 0 && !isRed) printOthers(run);
    return run.code === 0 && !isRed && kept ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function hasWord({ area, name }: Row, word: string): boolean {
  return `${area} ${name}`.toLowerCase().includes(word.toLowerCase());
}

interface Turn {
  isMine(file: string): boolean;
  readonly workers: number;
  /** Whether databases lie in memory; left out: on the disk, as those of people do. */
  readonly isInMemory?: boolean;
}

const isRecovery = (file: string) => file.startsWith("test/faults/recovery/");
const isKill = (file: string) => file === "test/faults/recovery/workerKilled.test.ts";
const isSabotage = (file: string) => file.startsWith("test/faults/saboteurs/");

/** What runs together. Where seconds are measured nothing else may keep the machine busy; where time is waited for, more may. */
const TURNS: readonly Turn[] = [
  // Its worst is held to seconds that a busy machine takes for itself.
  { isMine: isKill, workers: 1 },
  { isMine: (file) => isRecovery(file) && !isKill(file), workers: 2 },
  { isMine: (file) => !isRecovery(file) && !isSabotage(file), workers: 3, isInMemory: true },
  // Lanes of its own.
  { isMine: isSabotage, workers: 1, isInMemory: true },
];

interface Run {
  readonly code: number;
  readonly results: readonly TestResult[];
  readonly recoveries: string;
}

/** One run of vitest after the other over these files, each shown as it goes. */
async function runTests(files: readonly string[], folder: string): Promise<Run> {
  const recoveries = process.env.FAULTS_REPORT ?? join(folder, "recoveries.jsonl");
  // Of this run alone, wherever it lies.
  await writeFile(recoveries, "");
  let code = 0;
  const results: TestResult[] = [];
  for (const [i, turn] of TURNS.entries()) {
    const mine = files.filter(turn.isMine);
    if (mine.length === 0) continue;
    const report = join(folder, `report${i}.json`);
    code = Math.max(code, await runVitest(mine, { turn, report, recoveries }));
    const json = await readFile(report, "utf8").catch(() => '{"testResults":[]}');
    results.push(...readResults(JSON.parse(json), ROOT));
  }
  return { code, results, recoveries: await readFile(recoveries, "utf8") };
}

/** @returns its exit code */
async function runVitest(
  files: readonly string[],
  options: { readonly turn: Turn; readonly report: string; readonly recoveries: string },
): Promise<number> {
  const child = spawn(
    process.execPath,
    [
      join(ROOT, "node_modules/vitest/vitest.mjs"),
      "run",
      `--maxWorkers=${options.turn.workers}`,
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${options.report}`,
      ...files,
    ],
    {
      cwd: ROOT,
      stdio: "inherit",
      env: {
        ...process.env,
        ...(options.turn.isInMemory ? temporaryFilesInMemory() : {}),
        FAULTS: "1",
        FAULTS_REPORT: options.recoveries,
      },
    },
  );
  // Ctrl-C reaches vitest as well, and it is the one to clean up.
  const wait = () => {};
  process.on("SIGINT", wait);
  const [code] = await once(child, "exit");
  process.off("SIGINT", wait);
  return code ?? 1;
}

interface Judged {
  readonly row: Row;
  readonly verdict: Verdict;
}

function print(verdicts: readonly Judged[]): void {
  for (const [area, group] of Map.groupBy(verdicts, ({ row }) => row.area)) {
    console.log(`\n${area}`);
    for (const { row, verdict } of group) {
      console.log(`  ${verdict.word.padEnd(15)} ${row.name}`);
      if (verdict.why !== null) console.log(`  ${"".padEnd(15)}   ${verdict.why}`);
    }
  }
}

function printCounts(verdicts: readonly Judged[]): void {
  const counts = Map.groupBy(verdicts, ({ verdict }) => verdict.word);
  const said = [...counts].map(([word, group]) => `${group.length} ${word}`).toSorted();
  console.log(`\n${verdicts.length} of ${rows.length} lines: ${said.join(", ")}`);
}

/** What failed without failing a line: a test beside those that are named, or vitest itself. */
function printOthers({ code, results }: { code: number; results: readonly TestResult[] }): void {
  console.log(`\nNo line has failed, but vitest ended with ${code}:`);
  for (const { file, titles, status } of results)
    if (status === "failed") console.log(`  ${file}: ${titles.join(" > ")}`);
}

/** @returns whether every recovery was as quick as promised */
function printRecoveries(lines: string): boolean {
  const recoveries = readRecoveries(lines);
  if (recoveries.length > 0)
    console.log(`\nHow long it took to be at work again\n\n${recoveryTable(recoveries, WIDTH)}`);
  return recoveries.every(isKept);
}

process.exitCode = await main(process.argv.slice(2));
