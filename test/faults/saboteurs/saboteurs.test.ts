import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../helpers/testServer.ts";
import type { Proof } from "../claim.ts";
import type { TestResult } from "../judge.ts";
import { titlePattern } from "../titles.ts";
import { type BrokenProject, copyToBreak } from "./brokenProject.ts";
import { runProofs } from "./runProofs.ts";
import { saboteurs } from "./saboteurs.ts";

// A test proves a promise only if it goes red where the promise is broken. Here each is broken, in a copy of the project.

let server: TestServer;
let project: BrokenProject;
/** The same tests where nothing is broken. */
let unbroken: readonly TestResult[];

beforeAll(async () => {
  server = await startTestServer();
  project = copyToBreak();
  unbroken = await runProofs(
    project.root,
    saboteurs.map(({ caughtBy }) => caughtBy),
    server.adminUrl,
  );
}, 300_000);
afterAll(async () => {
  await server?.stop();
  project?.remove();
});

/** Those of the results that the proof names; without the ones that did not run. */
function resultsOf({ file, title }: Proof, results: readonly TestResult[]): TestResult[] {
  const pattern = titlePattern(title);
  return results.filter(
    (result) =>
      result.file === file &&
      result.status !== "skipped" &&
      result.titles.some((text) => pattern.test(text)),
  );
}

test.each(saboteurs)("red where $name", { timeout: 180_000 }, async (saboteur) => {
  const { caughtBy, edits, caught } = saboteur;
  const well = resultsOf(caughtBy, unbroken);
  expect(well.length, "it ran with nothing broken").toBeGreaterThan(0);
  expect(
    well.filter(({ status }) => status === "failed"),
    "with nothing broken",
  ).toEqual([]);

  const mend = project.break(edits);
  try {
    const broken = await runProofs(project.root, [caughtBy], server.adminUrl);
    const failures = resultsOf(caughtBy, broken).flatMap(({ failure }) => failure ?? []);
    expect(failures, "how it went red").not.toEqual([]);
    expect(failures[0]).toMatch(caught);
  } finally {
    mend();
  }
});
