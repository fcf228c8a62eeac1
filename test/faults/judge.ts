import type { Claim, Proof } from "./claim.ts";
import { titlePattern } from "./titles.ts";

/** What became of one test. */
export interface TestResult {
  readonly file: string;
  /** Its title and those of the `describe`s around it. */
  readonly titles: readonly string[];
  readonly status: "passed" | "failed" | "skipped";
  /** What it failed with, name and message of each error. */
  readonly failure?: string | undefined;
}

/** What became of a claim, and why where that needs saying. */
export interface Verdict {
  readonly word: "ok" | "ok in part" | "FAILED" | "skipped" | "not proven yet";
  readonly why: string | null;
}

/** A test that did not run proves nothing: it fails its claim, unless the claim says which tool this machine may lack. */
export function judge(claim: Claim, results: readonly TestResult[]): Verdict {
  const { tests = [], needs, notProven = null } = claim;
  if (tests.length === 0) return { word: "not proven yet", why: notProven };
  const ends = tests.map((proof) => ({ proof, end: endOf(proof, results) }));
  const bad = ends.find(
    ({ end }) => end !== "passed" && !(end === "was skipped" && needs !== undefined),
  );
  if (bad) return { word: "FAILED", why: `${bad.proof.file}: "${bad.proof.title}" ${bad.end}` };
  if (ends.some(({ end }) => end === "was skipped"))
    return { word: "skipped", why: `needs ${needs}` };
  return notProven === null ? { word: "ok", why: null } : { word: "ok in part", why: notProven };
}

type End = "passed" | "failed" | "was skipped" | "did not run";

function endOf({ file, title }: Proof, results: readonly TestResult[]): End {
  const pattern = titlePattern(title);
  const statuses = new Set(
    results
      .filter((result) => result.file === file && result.titles.some((text) => pattern.test(text)))
      .map(({ status }) => status),
  );
  if (statuses.has("failed")) return "failed";
  if (statuses.has("passed")) return "passed";
  return statuses.has("skipped") ? "was skipped" : "did not run";
}
