import { relative, sep } from "node:path";
import { z } from "zod";
import type { TestResult } from "./judge.ts";

/** What we read of vitest's JSON report. */
const report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(
        z.object({
          title: z.string(),
          ancestorTitles: z.array(z.string()),
          status: z.string(),
          failureMessages: z.array(z.string()).optional(),
        }),
      ),
    }),
  ),
});

/**
 * Every test of a JSON report of vitest's, with files as from `root`. A file
 * that failed beside its tests, by its imports or hooks, fails all of them.
 * @throws ZodError on another shape
 */
export function readResults(json: unknown, root: string): TestResult[] {
  return report.parse(json).testResults.flatMap(({ name, status, assertionResults }) => {
    const isBroken =
      status === "failed" && !assertionResults.some((result) => result.status === "failed");
    return assertionResults.map((result) => ({
      file: relative(root, name).replaceAll(sep, "/"),
      titles: [...result.ancestorTitles, result.title],
      status: isBroken ? "failed" : statusOf(result.status),
      failure: result.failureMessages?.join("\n") || undefined,
    }));
  });
}

function statusOf(word: string): TestResult["status"] {
  return word === "passed" || word === "failed" ? word : "skipped";
}
