import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../helpers/testServer.ts";
import type { Proof } from "../claim.ts";
import type { TestResult } from "../judge.ts";
import { titlePattern } from "../titles.ts";
import { type BrokenProject, copyToBreak } from "./brokenProject.ts";
import { runProofs } from "./runProofs.ts";
import { saboteurs } from "./saboteurs.ts";

// A test proves a promise only if it goes red where the promise is broken. Here each is broken, in a copy of the project.

/** A copy to break and a Postgres for its tests. */
interface Lane {
  readonly project: BrokenProject;
  readonly server: TestServer;
}

/** Chosen: half of the tests mostly wait. */
const LANES = 3;

const lanes: Lane[] = [];
const idle: Lane[] = [];
const waiting: ((lane: Lane) => void)[] = [];
/** What became of the same tests where nothing is broken. */
let unbroken: readonly TestResult[];

beforeAll(async () => {
  for (let i = 0; i < LANES; i++)
    lanes.push({ project: copyToBreak(), server: await startTestServer() });
  idle.push(...lanes);
  unbroken = await inLane(({ project, server }) =>
    runProofs(
      project.root,
      saboteurs.map(({ caughtBy }) => caughtBy),
      server.adminUrl,
    ),
  );
}, 600_000);
afterAll(async () => {
  for (const { project, server } of lanes) {
    await server.stop();
    project.remove();
  }
});

/** Does something in a lane that nobody else uses meanwhile. */
async function inLane<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
  const lane = idle.pop() ?? (await new Promise<Lane>((next) => waiting.push(next)));
  try {
    return await work(lane);
  } finally {
    const next = waiting.shift();
    if (next) next(lane);
    else idle.push(lane);
  }
}

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

test.concurrent.for(saboteurs)("red where $name", { timeout: 600_000 }, async (saboteur) => {
  const { caughtBy, edits, caught } = saboteur;
  const well = resultsOf(caughtBy, unbroken);
  expect(well.length, "it ran with nothing broken").toBeGreaterThan(0);
  expect(
    well.filter(({ status }) => status === "failed"),
    "with nothing broken",
  ).toEqual([]);

  const broken = await inLane(async ({ project, server }) => {
    const mend = project.break(edits);
    try {
      return await runProofs(project.root, [caughtBy], server.adminUrl);
    } finally {
      mend();
    }
  });
  const failures = resultsOf(caughtBy, broken).flatMap(({ failure }) => failure ?? []);
  expect(failures, "how it went red").not.toEqual([]);
  expect(failures[0]).toMatch(caught);
});
