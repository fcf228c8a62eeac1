import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Proof } from "../claim.ts";
import type { TestResult } from "../judge.ts";
import { readResults } from "../readResults.ts";
import { titlePattern } from "../titles.ts";

/**
 * Runs these tests of the project in `root`, in processes of their own, and gives what became of each test of their files.
 * @param postgresUrl a superuser's address on a Postgres that nobody else uses meanwhile: its template is made anew
 * @throws Error with what vitest printed, where it came to no result
 */
export async function runProofs(
  root: string,
  proofs: readonly Proof[],
  postgresUrl: string,
): Promise<TestResult[]> {
  const report = join(root, "report.json");
  await rm(report, { force: true });
  const child = spawn(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--reporter=json",
      `--outputFile=${report}`,
      `--testNamePattern=${proofs.map(({ title }) => titlePattern(title).source.slice(1, -1)).join("|")}`,
      ...new Set(proofs.map(({ file }) => file)),
    ],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      // Nothing of the run that this one is part of, but that properties are tried with as many cases.
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        TMPDIR: tmpdir(),
        TEST_POSTGRES_URL: postgresUrl,
        FAULTS: "1",
      },
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
    });
  // It stops what it has started.
  const stop = () => child.kill("SIGTERM");
  process.once("exit", stop);
  await once(child, "close");
  process.off("exit", stop);
  const json = await readFile(report, "utf8").catch(() => {
    throw new Error(`vitest came to no result:\n${output}`);
  });
  return readResults(JSON.parse(json), root);
}
