import { glob, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Claim } from "../faults/claim.ts";
import { guarantees } from "../faults/guarantees.ts";
import { judge, type TestResult } from "../faults/judge.ts";
import { readResults } from "../faults/readResults.ts";
import { isKept, readRecoveries, recoveryTable, reportRecovery } from "../faults/recoveryReport.ts";
import { rows } from "../faults/table.ts";
import { tableAsMarkdown } from "../faults/tableAsMarkdown.ts";
import { isTitleIn, lettersOf, titlePattern } from "../faults/titles.ts";

const ROOT = join(import.meta.dirname, "../..");

const proofs = rows.flatMap(({ claim }) => claim.tests ?? []);

describe("the table of failures", () => {
  test("names only tests that there are", async () => {
    const missing = [];
    for (const [file, group] of Map.groupBy(proofs, (proof) => proof.file)) {
      const source = await readFile(join(ROOT, file), "utf8").catch(() => "");
      for (const { title } of group) if (!isTitleIn(source, title)) missing.push({ file, title });
    }
    expect(missing).toEqual([]);
  });

  test("has no title that would fit any test", () => {
    expect(proofs.filter(({ title }) => lettersOf(title) < 6)).toEqual([]);
  });

  test("says of each line how it is proven, or why it is not", () => {
    const bare = rows.filter(
      ({ claim }) => (claim.tests ?? []).length === 0 && claim.notProven === undefined,
    );
    expect(bare).toEqual([]);
  });

  test("has the promises in their order, and no line twice", () => {
    expect(guarantees.map(({ id }) => id)).toEqual(
      Array.from({ length: 23 }, (_, i) => `P${i + 1}`),
    );
    const names = rows.map(({ area, name }) => `${area}: ${name}`);
    expect(names).toEqual([...new Set(names)]);
  });

  test("has a quick test for each promise that is not said to be unproven", () => {
    const slowOnly = guarantees.filter(
      ({ tests = [], notProven }) =>
        notProven === undefined && !tests.some(({ file }) => !file.startsWith("test/faults/")),
    );
    expect(slowOnly).toEqual([]);
  });

  test("has a line for every slow test file", async () => {
    const slow: string[] = [];
    for await (const file of glob("test/faults/**/*.test.ts", { cwd: ROOT })) slow.push(file);
    expect(slow.filter((file) => !proofs.some((proof) => proof.file === file))).toEqual([]);
  });

  test("is what docs/failures.md shows", async () => {
    expect(await readFile(join(ROOT, "docs/failures.md"), "utf8")).toBe(tableAsMarkdown());
  });
});

describe("a title", () => {
  test("fits what it becomes with values, and nothing else", () => {
    expect("sees of books her own rows").toMatch(titlePattern("sees of %s her own rows"));
    expect("over 40 (random) histories").toMatch(titlePattern("over $n (random) histories"));
    expect("sees of books her own rows too").not.toMatch(titlePattern("sees of %s her own rows"));
    expect("aXb").not.toMatch(titlePattern("a.b"));
  });

  test("is found however it is written, and not in the midst of another text", () => {
    for (const source of ['test("a b", () => {', "  'a b',\n", "test(`a b`, async () => {"])
      expect(isTitleIn(source, "a b")).toBe(true);
    for (const source of ['// "a b", once', 'test("a b c", () => {', 'expect("a b")'])
      expect(isTitleIn(source, "a b")).toBe(false);
  });
});

describe("a line is", () => {
  const file = "test/some.test.ts";
  const claim: Claim = { must: "It holds.", tests: [{ file, title: "it holds with %s" }] };
  const ended = (status: TestResult["status"], title = "it holds with care"): TestResult => ({
    file,
    titles: ["outer", title],
    status,
  });

  test("ok when each of its tests has passed, once at least and never not", () => {
    expect(judge(claim, [ended("passed"), ended("skipped")]).word).toBe("ok");
    expect(judge(claim, [ended("passed"), ended("failed")]).word).toBe("FAILED");
  });

  test("FAILED when one of its tests did not run, by that name or in that file", () => {
    const elsewhere = { ...ended("passed"), file: "test/other.test.ts" };
    for (const results of [[], [ended("passed", "another")], [elsewhere]])
      expect(judge(claim, results)).toEqual({
        word: "FAILED",
        why: 'test/some.test.ts: "it holds with %s" did not run',
      });
  });

  test("FAILED when a test was skipped, and skipped where a tool may be missing", () => {
    expect(judge(claim, [ended("skipped")]).word).toBe("FAILED");
    const needy = { ...claim, needs: "pg_basebackup" };
    expect(judge(needy, [ended("skipped")])).toEqual({
      word: "skipped",
      why: "needs pg_basebackup",
    });
    expect(judge(needy, [ended("failed")]).word).toBe("FAILED");
    expect(judge(needy, []).word).toBe("FAILED");
  });

  test("ok in part or not proven yet where it says so, and FAILED all the same when its test does", () => {
    const part = { ...claim, notProven: "The rest." };
    expect(judge(part, [ended("passed")])).toEqual({ word: "ok in part", why: "The rest." });
    expect(judge(part, [ended("failed")]).word).toBe("FAILED");
    expect(judge({ must: "It holds.", notProven: "All." }, [])).toEqual({
      word: "not proven yet",
      why: "All.",
    });
  });

  test("proven by the title of a describe as well", () => {
    const outer = { ...claim, tests: [{ file, title: "outer" }] };
    expect(judge(outer, [ended("passed"), ended("passed", "b")]).word).toBe("ok");
    expect(judge(outer, [ended("passed"), ended("failed", "b")]).word).toBe("FAILED");
  });
});

test("a file that failed by its imports or hooks fails its tests, whatever is said of them", () => {
  const tests = (status: string) => [{ title: "a", ancestorTitles: ["b"], status }];
  const files = [
    { name: "/x/test/broken.test.ts", status: "failed", assertionResults: tests("skipped") },
    { name: "/x/test/whole.test.ts", status: "passed", assertionResults: tests("pending") },
  ];
  expect(readResults({ testResults: files }, "/x")).toEqual([
    { file: "test/broken.test.ts", titles: ["b", "a"], status: "failed" },
    { file: "test/whole.test.ts", titles: ["b", "a"], status: "skipped" },
  ]);
});

describe("recoveries", () => {
  test("that tests tell of come together by their point, with median and worst", async () => {
    const folder = await mkdtemp(join(tmpdir(), "bookpost-test-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const file = join(folder, "recoveries.jsonl");
    vi.stubEnv("FAULTS_REPORT", file);
    await reportRecovery({ point: "killed", seconds: [4, 1], promisedSeconds: 10 });
    await reportRecovery({ point: "killed", seconds: [3, 2] });
    await reportRecovery({ point: "cut", seconds: [5] });
    const told = readRecoveries(await readFile(file, "utf8"));
    expect(recoveryTable(told, 100).split("\n").slice(1)).toEqual([
      expect.stringMatching(/^killed +4 +2\.50 +4\.00 +10$/),
      expect.stringMatching(/^cut +1 +5\.00 +5\.00$/),
    ]);
  });

  test("are as promised up to the very second, and one that is not is marked", () => {
    const told = { point: "killed", seconds: [1, 10], promisedSeconds: 10 };
    expect(isKept(told)).toBe(true);
    const late = { ...told, seconds: [1, 10.1] };
    expect(isKept(late)).toBe(false);
    expect(recoveryTable([late], 100)).toContain("TOO LONG");
  });
});
